import {
  encodeRaftRequest,
  isHeartbeat,
  type InstallSnapshotRequest,
  type InstallSnapshotResponse,
  type RaftHeader,
  type RaftRequest,
  type RaftResponse,
} from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import { ClientConnection } from './client-connection.ts'
import { ConnectionPool } from './connection-pool.ts'
import { Lane } from './lane.ts'
import { APPENDS_IN_FLIGHT, RPC_MS, SNAPSHOT_MS_PER_STEP, SNAPSHOT_STEP_BYTES } from './limits.ts'
import type { StreamEndpoint } from './stream-endpoint.ts'
import { RaftTransportError } from './transport-error.ts'

/** The bytes of a snapshot, in pieces of any size. */
export type SnapshotSource = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

type Peer = {
  /** Entries may take the peer's disk a while; heartbeats must not wait behind them. */
  readonly heartbeats: Lane
  readonly appends: Lane
  readonly calls: ConnectionPool
}

/** Calls to all peers. */
export class RaftClient {
  readonly #endpoint: StreamEndpoint
  readonly #clock: Clock
  readonly #header: RaftHeader
  readonly #peers = new Map<string, Peer>()
  #closed = false

  constructor(endpoint: StreamEndpoint, clock: Clock, header: RaftHeader) {
    this.#endpoint = endpoint
    this.#clock = clock
    this.#header = header
  }

  /** AppendEntries to one peer go out in the order of the calls, and so do heartbeats. */
  send(peer: string, request: RaftRequest): Promise<RaftResponse> {
    const { heartbeats, appends, calls } = this.#peer(peer)
    const frame = encodeRaftRequest(request, this.#header)
    const call = { kind: request.kind, frame, timeoutMs: RPC_MS }
    if (request.kind !== 'append-entries') return calls.send(call)
    return (isHeartbeat(request, this.#header) ? heartbeats : appends).send(call)
  }

  /** Rejects before the peer answers when `source` has not exactly `request.size` bytes. */
  async sendSnapshot(
    peer: string,
    request: InstallSnapshotRequest,
    source: SnapshotSource,
  ): Promise<InstallSnapshotResponse> {
    const response = await this.#peer(peer).calls.send({
      kind: request.kind,
      frame: encodeRaftRequest(request, this.#header),
      body: exactly(request.size, source),
      timeoutMs: SNAPSHOT_MS_PER_STEP * Math.max(1, Math.floor(request.size / SNAPSHOT_STEP_BYTES)),
    })
    if (response.kind !== 'install-snapshot') throw new Error('a response of another kind')
    return response
  }

  /** Ends all streams to a peer that is none any more. */
  forget(peer: string): void {
    const known = this.#peers.get(peer)
    this.#peers.delete(peer)
    known?.heartbeats.close()
    known?.appends.close()
    known?.calls.close()
  }

  close(): void {
    this.#closed = true
    for (const peer of this.#peers.keys()) this.forget(peer)
  }

  #peer(peer: string): Peer {
    if (this.#closed) throw new RaftTransportError('closed', 'the transport is closed')
    const known = this.#peers.get(peer)
    if (known) return known
    const connect = async (): Promise<ClientConnection> =>
      new ClientConnection(await this.#endpoint.dial(peer), this.#clock)
    const made = {
      heartbeats: new Lane({ connect, depth: 1 }),
      appends: new Lane({ connect, depth: APPENDS_IN_FLIGHT }),
      calls: new ConnectionPool(connect),
    }
    this.#peers.set(peer, made)
    return made
  }
}

async function* exactly(size: number, source: SnapshotSource): AsyncGenerator<Uint8Array> {
  let left = size
  for await (const bytes of source) {
    left -= bytes.length
    if (left < 0) break
    yield bytes
  }
  if (left !== 0) {
    throw new RaftTransportError(
      'closed',
      `the snapshot is not of ${size} bytes, as it was said to be`,
    )
  }
}
