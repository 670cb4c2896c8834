/** The service `proto.API`: which handler serves which method, and how errors become statuses. */
import {
  GrpcError,
  GrpcStatus,
  type Method,
  type MethodTable,
  type ServerCall,
} from '@liftbridge/grpc'
import { LiftbridgeError } from '../errors.ts'
import type { ApiContext } from './context.ts'
import { fetchMetadata, fetchPartitionMetadata } from './fetch-metadata.ts'
import { publish, publishToSubject } from './publish.ts'
import { PublishSession } from './publish-session.ts'
import { createStream, deleteStream, pauseStream, setStreamReadonly } from './streams.ts'
import { subscribe } from './subscribe.ts'

export const API_SERVICE = 'proto.API'

type UnaryHandler = (
  context: ApiContext,
  request: Uint8Array,
  call: ServerCall,
) => Promise<Uint8Array>

/** All methods this server has; until there is a context they answer that it is starting. */
export function apiMethods(contextNow: () => ApiContext | undefined): MethodTable {
  const serving = (): ApiContext => {
    const context = contextNow()
    if (!context) throw new LiftbridgeError('server.starting')
    if (context.stopping.aborted) throw new LiftbridgeError('server.stopping')
    return context
  }
  const unary = (handler: UnaryHandler): Method => ({
    kind: 'unary',
    handle: (request, call) => asGrpc(() => handler(serving(), request, call)),
  })
  const methods: Record<string, Method> = {
    CreateStream: unary(createStream),
    DeleteStream: unary(deleteStream),
    PauseStream: unary(pauseStream),
    SetStreamReadonly: unary(setStreamReadonly),
    FetchMetadata: unary(fetchMetadata),
    FetchPartitionMetadata: unary(fetchPartitionMetadata),
    Publish: unary(publish),
    PublishToSubject: unary(publishToSubject),
    PublishAsync: {
      kind: 'bidi',
      handle: (call, requests, out) =>
        asGrpc(() => new PublishSession(serving(), call, out).run(requests)),
    },
    Subscribe: {
      kind: 'server-stream',
      handle: (request, call, out) => asGrpc(() => subscribe(serving(), { request, call }, out)),
    },
  }
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [`/${API_SERVICE}/${name}`, method]),
  )
}

async function asGrpc<Value>(handler: () => Promise<Value>): Promise<Value> {
  try {
    return await handler()
  } catch (error) {
    if (error instanceof LiftbridgeError) {
      throw new GrpcError(GrpcStatus[error.status], error.message, { cause: error })
    }
    throw error
  }
}
