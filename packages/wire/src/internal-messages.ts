/** What servers say to each other: messages and enums of package `protocol`, see proto/internal.proto. */
export * from './gen/internal_pb.ts'
