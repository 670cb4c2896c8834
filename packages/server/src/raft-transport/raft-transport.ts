import {
  RAFT_PROTOCOL_VERSION,
  type ClusterSubjects,
  type InstallSnapshotRequest,
  type InstallSnapshotResponse,
  type RaftHeader,
  type RaftRequest,
  type ResponseTo,
} from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import { RaftClient, type SnapshotSource } from './raft-client.ts'
import { RaftServer, type RaftRequestHandler } from './raft-server.ts'
import { StreamEndpoint } from './stream-endpoint.ts'
import { asTransportError } from './transport-error.ts'

export type RaftTransportOptions = {
  /** A connection for Raft and what belongs to it; it need not echo. Outlives the transport. */
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  /** A single token of a subject; identity and address at once. */
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  readonly onRequest: RaftRequestHandler
  /**
   * Something of a peer was dropped, or a stream of its was ended: to be counted, and logged at a
   * bounded rate. `peer` is what the peer calls itself, empty when it does not.
   */
  readonly onProblem: (peer: string, reason: string) => void
}

/**
 * Raft's calls between servers, as hashicorp/raft makes them over NATS [LB control plane 2.4, 2.5]:
 * what is sent here a Go Liftbridge server answers, and the other way round.
 */
export class RaftTransport {
  readonly #endpoint: StreamEndpoint
  readonly #client: RaftClient

  constructor(options: RaftTransportOptions) {
    const { serverId, onRequest, onProblem, clock } = options
    const header: RaftHeader = {
      protocolVersion: RAFT_PROTOCOL_VERSION,
      id: serverId,
      address: serverId,
    }
    const server = new RaftServer({ header, onRequest, onProblem })
    this.#endpoint = new StreamEndpoint({
      ...options,
      onStream: (stream) => void server.serve(stream),
    })
    this.#client = new RaftClient(this.#endpoint, clock, header)
  }

  /** How many streams stand, for metrics. */
  get streams(): { readonly dialed: number; readonly accepted: number } {
    return this.#endpoint.streams
  }

  /** Begins to accept requests. */
  start(): void {
    this.#endpoint.listen()
  }

  /**
   * Calls a peer. Rejects with RaftTransportError and nothing else. Calls of AppendEntries to one
   * peer go out in the order in which they are made, two at a time; one that fails takes those
   * waiting behind it along. Heartbeats have a stream of their own.
   */
  async send<Request extends Exclude<RaftRequest, InstallSnapshotRequest>>(
    peer: string,
    request: Request,
  ): Promise<ResponseTo<Request>> {
    try {
      const response = await this.#client.send(peer, request)
      // The reader of replies makes a response of the kind of the request, or none.
      return response as ResponseTo<Request>
    } catch (error) {
      throw asTransportError(error, 'closed', `calling ${peer}`)
    }
  }

  /**
   * Sends a snapshot of `request.size` bytes, at the pace of the peer where it tells one. The
   * response comes when the peer has restored it.
   */
  async sendSnapshot(
    peer: string,
    request: InstallSnapshotRequest,
    source: SnapshotSource,
  ): Promise<InstallSnapshotResponse> {
    try {
      return await this.#client.sendSnapshot(peer, request, source)
    } catch (error) {
      throw asTransportError(error, 'closed', `sending a snapshot to ${peer}`)
    }
  }

  /** Ends the streams to a server that has left the cluster. */
  forget(peer: string): void {
    this.#client.forget(peer)
  }

  /** Ends all streams; calls under way are rejected with 'closed'. */
  async close(): Promise<void> {
    this.#client.close()
    await this.#endpoint.close()
  }
}
