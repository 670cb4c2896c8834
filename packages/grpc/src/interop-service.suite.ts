/** The service that other people's clients call, one method of each kind; messages are plain bytes. */
import { encodeFrame, encodeFrames } from './frames-out.ts'
import { HealthService } from './health.ts'
import { messagesOf } from './message-chunk.ts'
import { Metadata } from './metadata.ts'
import type { MethodTable, ResponseStream, ServerCall } from './method.ts'
import { GrpcError, GrpcStatus } from './status.ts'

/** The text of the status of `/t.T/Fail`: all that percent coding is for. */
export const FAIL_TEXT = 'grün %25 → 😀\nzeile'

export class InteropService {
  readonly health: HealthService = new HealthService()
  /** The call that began last. */
  lastCall: ServerCall | undefined
  /** Where the newest `/t.T/Flood` writes. */
  flood: ResponseStream | undefined

  get methods(): MethodTable {
    return {
      ...this.health.methods,
      '/t.T/Echo': {
        kind: 'unary',
        handle: async (request, call) => {
          this.lastCall = call
          call.responseMetadata.set('first', 'yes')
          call.trailers.set('last-bin', call.metadata.getBinary('ping-bin') ?? Uint8Array.of(1))
          return request
        },
      },
      '/t.T/Fail': { kind: 'unary', handle: fail },
      '/t.T/Hang': {
        kind: 'unary',
        handle: (_request, call) => {
          this.lastCall = call
          return new Promise((_resolve, reject) => {
            call.signal.addEventListener('abort', () => reject(call.signal.reason as Error))
          })
        },
      },
      '/t.T/Count': { kind: 'server-stream', handle: count },
      '/t.T/Flood': {
        kind: 'server-stream',
        handle: async (_request, call, responses) => {
          this.lastCall = call
          this.flood = responses
          for (;;) {
            if (!responses.write(encodeFrame(new Uint8Array(8192)))) await responses.drained()
          }
        },
      },
      '/t.T/Sum': { kind: 'client-stream', handle: sum },
      '/t.T/EchoAll': { kind: 'bidi', handle: echoAll },
    }
  }
}

async function fail(): Promise<never> {
  const metadata = new Metadata()
  metadata.append('many', 'a')
  metadata.append('many', 'b')
  throw new GrpcError(GrpcStatus.FAILED_PRECONDITION, FAIL_TEXT, { metadata })
}

type Handler<K extends MethodTable[string]['kind']> = Extract<
  MethodTable[string],
  { readonly kind: K }
>['handle']

const count: Handler<'server-stream'> = async (request, _call, responses) => {
  const messages = Buffer.from(request).readUInt32BE(0)
  const batch = Array.from({ length: messages }, (_, i) => Buffer.from(String(i)))
  responses.write(encodeFrames(batch))
}

const sum: Handler<'client-stream'> = async (_call, requests) => {
  let bytes = 0
  for await (const chunk of requests) for (const m of messagesOf(chunk)) bytes += m.length
  return Buffer.from(String(bytes))
}

const echoAll: Handler<'bidi'> = async (_call, requests, responses) => {
  for await (const chunk of requests) {
    if (!responses.write(encodeFrames([...messagesOf(chunk)]))) await responses.drained()
  }
}
