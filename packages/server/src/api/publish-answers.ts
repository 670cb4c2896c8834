/** How the result of a publish is told to gRPC clients. */
import { encodeFrame } from '@liftbridge/grpc'
import { api, create, toBinary } from '@liftbridge/wire'
import { LiftbridgeError, type ErrorCode } from '../errors.ts'
import {
  ACK_ENCRYPTION,
  ACK_INCORRECT_OFFSET,
  ACK_NO_SPACE,
  ACK_OK,
  ACK_READONLY,
  ACK_TOO_LARGE,
} from '../partition/ack.ts'

const { PublishAsyncError_Code: Code } = api

/**
 * The error that an ack tells, undefined for success [LB data plane 5.8, 5.9]. `partition` is that
 * of an ack from here; one that came through NATS tells nothing that would name it.
 */
export function errorOfAck(ackError: number, partition = 0): LiftbridgeError | undefined {
  switch (ackError) {
    case ACK_OK:
      return undefined
    case ACK_INCORRECT_OFFSET:
      return new LiftbridgeError('publish.incorrect-offset')
    case ACK_TOO_LARGE:
      return new LiftbridgeError('publish.too-large')
    case ACK_ENCRYPTION:
      return new LiftbridgeError('publish.encryption')
    case ACK_READONLY:
      return new LiftbridgeError('partition.readonly', { partition })
    case ACK_NO_SPACE:
      return new LiftbridgeError('publish.no-space')
    default:
      return new LiftbridgeError('publish.failed')
  }
}

const ASYNC_CODES: Partial<Record<ErrorCode, api.PublishAsyncError_Code>> = {
  'publish.no-stream': Code.NOT_FOUND,
  'stream.unknown': Code.NOT_FOUND,
  'partition.unknown': Code.NOT_FOUND,
  'partition.readonly': Code.READONLY,
  'publish.policy-required': Code.BAD_REQUEST,
  'publish.headers': Code.BAD_REQUEST,
  'publish.too-large': Code.BAD_REQUEST,
  'publish.incorrect-offset': Code.INCORRECT_OFFSET,
  'publish.encryption': Code.ENCRYPTION_FAILED,
  'publish.failed': Code.UNKNOWN,
  'publish.no-space': Code.INTERNAL,
}

/**
 * A framed PublishResponse that tells one message's failure in-band. The empty ack is for old
 * clients that look at nothing else [LB clients 2.0.8].
 */
export function asyncErrorFrame(error: LiftbridgeError, correlationId: string): Uint8Array {
  const response = create(api.PublishResponseSchema, {
    ack: {},
    asyncError: { code: ASYNC_CODES[error.code] ?? Code.INTERNAL, message: error.message },
    correlationId,
  })
  return encodeFrame(toBinary(api.PublishResponseSchema, response))
}
