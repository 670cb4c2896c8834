import type { Request, ServerId } from '@liftbridge/raft'
import type { ClusterSubjects, RaftRequest, RaftResponse } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { RaftTransport } from '../raft-transport/raft-transport.ts'
import type { SnapshotBody } from '../raft-transport/snapshot-body.ts'
import type { RaftAnswer, RaftHandler, RaftNetwork } from './raft-network.ts'
import {
  fromWireRequest,
  fromWireResponse,
  toWireRequest,
  toWireResponse,
} from './wire-messages.ts'

export interface NatsRaftNetworkOptions {
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: ServerId
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A snapshot is held in memory while it is received; a hundred thousand streams take some 40 MiB. */
const STATE_MAX_BYTES = 256 * 1024 * 1024
/** Bytes of a snapshot that are handed to the transport at a time. */
const PIECE_BYTES = 256 * 1024

/** Raft's calls over NATS, as Go Liftbridge makes them. */
export class NatsRaftNetwork implements RaftNetwork {
  readonly #transport: RaftTransport
  #handler: RaftHandler | undefined

  constructor(options: NatsRaftNetworkOptions) {
    const { logger } = options
    this.#transport = new RaftTransport({
      ...options,
      onRequest: (from, request, body) => this.#serve(from, request, body),
      onProblem: (peer, reason) => {
        logger.limited('raft-transport', 'debug', 'metadata: a Raft stream ended', { peer, reason })
      },
    })
  }

  serve(handler: RaftHandler): void {
    this.#handler = handler
    this.#transport.start()
  }

  async call(to: ServerId, request: Request, state: Uint8Array | undefined): Promise<RaftAnswer> {
    const wireRequest = toWireRequest(request, state?.length ?? 0)
    try {
      const response: RaftResponse =
        wireRequest.kind === 'install-snapshot'
          ? await this.#transport.sendSnapshot(to, wireRequest, piecesOf(state ?? NOTHING))
          : await this.#transport.send(to, wireRequest)
      return { kind: 'response', response: fromWireResponse(response) }
    } catch (error) {
      return { kind: 'error', text: error instanceof Error ? error.message : String(error) }
    }
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  /** What it rejects with goes to the peer as text. */
  async #serve(
    from: ServerId,
    request: RaftRequest,
    body: SnapshotBody | undefined,
  ): Promise<RaftResponse> {
    const handler = this.#handler
    if (handler === undefined) throw new Error('raft is not open yet')
    const understood = fromWireRequest(from, request)
    if (typeof understood === 'string') throw new Error(understood)
    const answer = await handler(from, understood, await wholeOf(body))
    if (answer.kind === 'error') throw new Error(answer.text)
    return toWireResponse(answer.response)
  }
}

const NOTHING = new Uint8Array(0)

function* piecesOf(state: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < state.length; at += PIECE_BYTES) {
    yield state.subarray(at, at + PIECE_BYTES)
  }
}

/** Memory grows with what has arrived, not with what was announced [B2]. */
const wholeOf = async (body: SnapshotBody | undefined): Promise<Uint8Array | undefined> => {
  if (body === undefined) return undefined
  if (body.size > STATE_MAX_BYTES) throw new Error(`a snapshot of ${body.size} bytes is too large`)
  const pieces: Uint8Array[] = []
  for await (const bytes of body) pieces.push(bytes)
  const whole = new Uint8Array(body.size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
