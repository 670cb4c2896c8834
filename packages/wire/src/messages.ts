/** The client API: messages, enums and the service of package `proto`, see proto/api.proto. */
export * from './gen/api_pb.ts'
