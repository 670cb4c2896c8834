import {
  encodeRaftReply,
  RaftRequestReader,
  speaksOurProtocol,
  UNSUPPORTED_PROTOCOL,
  type RaftHeader,
  type RaftReply,
  type RaftRequest,
  type RaftRequestEvent,
  type RaftResponse,
} from '@liftbridge/wire'
import { ACCEPTED_IDLE_MS, REQUEST_STALL_MS } from './limits.ts'
import type { NatsStream } from './nats-stream.ts'
import { SnapshotBody } from './snapshot-body.ts'
import { asTransportError, RaftTransportError } from './transport-error.ts'

/**
 * Answers a request. What it rejects with goes to the peer as text. Called for several streams at a
 * time: heartbeats come on one of their own. `body` is there with InstallSnapshot alone; what the
 * handler leaves of it is passed over before the answer goes out.
 */
export type RaftRequestHandler = (
  from: string,
  request: RaftRequest,
  body: SnapshotBody | undefined,
) => Promise<RaftResponse>

export type RaftServerOptions = {
  readonly header: RaftHeader
  readonly onRequest: RaftRequestHandler
  readonly onProblem: (peer: string, reason: string) => void
}

type RequestEvent = Extract<RaftRequestEvent, { readonly kind: 'request' }>

/** Serves the streams that peers have dialed: on each, one request at a time, in order. */
export class RaftServer {
  readonly #options: RaftServerOptions

  constructor(options: RaftServerOptions) {
    this.#options = options
  }

  /** Serves a stream until it ends. Never rejects. */
  async serve(stream: NatsStream): Promise<void> {
    const requests = new RaftRequestReader()
    try {
      for (;;) {
        const event = await nextEvent(stream, requests)
        if (event === undefined) return
        await this.#answer(stream, requests, event)
      }
    } catch (error) {
      const { message } = asTransportError(error, 'closed', 'serving a stream')
      this.#options.onProblem(stream.peer, message)
    } finally {
      stream.close()
    }
  }

  async #answer(
    stream: NatsStream,
    requests: RaftRequestReader,
    event: RequestEvent,
  ): Promise<void> {
    const { request } = event
    const body =
      request.kind === 'install-snapshot'
        ? new SnapshotBody(stream, requests, request.size)
        : undefined
    const reply = await this.#handle(event, body)
    // Whatever became of the request, the next one begins behind the whole body.
    await body?.drain()
    await stream.write(encodeRaftReply(reply, this.#options.header))
  }

  async #handle(
    { header, request }: RequestEvent,
    body: SnapshotBody | undefined,
  ): Promise<RaftReply> {
    if (!speaksOurProtocol(request, header)) return { kind: 'error', error: UNSUPPORTED_PROTOCOL }
    const from = header.id === '' ? header.address : header.id
    try {
      const response = await this.#options.onRequest(from, request, body)
      if (response.kind === request.kind) return { kind: 'response', response }
      return { kind: 'error', error: 'no response' }
    } catch (error) {
      return { kind: 'error', error: error instanceof Error ? error.message : String(error) }
    }
  }
}

/** The next request; undefined when the peer has ended the stream where one might begin. */
async function nextEvent(
  stream: NatsStream,
  requests: RaftRequestReader,
): Promise<RequestEvent | undefined> {
  for (;;) {
    const event = requests.next()
    if (event?.kind === 'request') return event
    if (event !== undefined) throw new RaftTransportError('closed', reasonOf(event))
    const idle = requests.atBoundary
    const bytes = await stream.read(idle ? ACCEPTED_IDLE_MS : REQUEST_STALL_MS)
    if (bytes === undefined) {
      if (idle) return undefined
      throw new RaftTransportError('closed', 'the stream ended within a request')
    }
    requests.push(bytes)
  }
}

function reasonOf(event: Exclude<RaftRequestEvent, RequestEvent>): string {
  return event.kind === 'malformed' ? event.reason : 'bytes of a snapshot without a request'
}
