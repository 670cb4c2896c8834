import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import { within } from './deadline.ts'
import { decodeAccepted, decodeDial, encodeAccepted, encodeDial } from './handshake.ts'
import {
  ACCEPTED_PER_PEER,
  ACCEPTED_STREAMS,
  CLOSE_FLUSH_MS,
  DIAL_MS,
  STREAM_WINDOW_BYTES,
} from './limits.ts'
import { NatsStream } from './nats-stream.ts'
import { StreamMemory } from './stream-memory.ts'
import { asTransportError, RaftTransportError } from './transport-error.ts'

export type StreamEndpointOptions = {
  /** Must outlive the endpoint. Whatever interrupts it ends every stream. */
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  /** Takes a stream that a peer has dialed. */
  readonly onStream: (stream: NatsStream) => void
  /** Something of a peer was dropped or ended; nothing needs to be done. */
  readonly onProblem: (peer: string, reason: string) => void
}

/** All streams of one server: those it dials, and those it accepts. */
export class StreamEndpoint {
  readonly #options: StreamEndpointOptions
  readonly #memory = new StreamMemory()
  readonly #dialed = new Set<NatsStream>()
  /** In the order of accepting. */
  readonly #accepted = new Set<NatsStream>()
  #listener: BusSubscription | undefined
  #closed = false

  constructor(options: StreamEndpointOptions) {
    this.#options = options
    options.bus.onStatus((status) => {
      // Bytes may be missing from now on, and nothing would tell: no stream goes on.
      if (status.kind === 'disconnected') this.#endAll(`NATS is away: ${status.reason}`)
    })
  }

  /** How many streams there are, of either kind. */
  get streams(): { readonly dialed: number; readonly accepted: number } {
    return { dialed: this.#dialed.size, accepted: this.#accepted.size }
  }

  /** Begins to accept. */
  listen(): void {
    const { bus, subjects, serverId } = this.#options
    this.#listener ??= bus.subscribe(subjects.raftAccept(serverId), (message) =>
      this.#accept(message),
    )
  }

  /** Opens a stream to a peer; rejects with 'unreachable' or 'timeout'. */
  async dial(peer: string): Promise<NatsStream> {
    const { bus, subjects, serverId, clock } = this.#options
    if (this.#closed) throw new RaftTransportError('closed', 'the transport is closed')
    if (!bus.connected) throw new RaftTransportError('unreachable', 'NATS is away')
    const stream = this.#open(peer, this.#dialed)
    if (stream instanceof RaftTransportError) throw stream
    try {
      // The peer may write as soon as it knows the inbox, so NATS must know it before.
      await within(clock, DIAL_MS, bus.flush())
      const dial = encodeDial(serverId, stream.inbox, STREAM_WINDOW_BYTES)
      const answer = await bus.request(subjects.raftAccept(peer), dial, DIAL_MS)
      const accepted = decodeAccepted(answer.data, subjects)
      if (accepted === undefined) throw new RaftTransportError('unreachable', 'no handshake')
      stream.connect(accepted.inbox, accepted.window)
      if (!stream.open) throw new RaftTransportError('unreachable', 'the stream has ended')
      return stream
    } catch (error) {
      stream.close()
      throw dialError(peer, error)
    }
  }

  /** Ends every stream and accepts no more. Resolves when NATS has the last words, or after a while. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#listener?.unsubscribe()
    for (const stream of [...this.#dialed, ...this.#accepted]) stream.close()
    const { bus, clock } = this.#options
    if (!bus.connected) return
    try {
      await within(clock, CLOSE_FLUSH_MS, bus.flush())
    } catch {
      // The peers find out by themselves.
    }
  }

  #accept(message: BusMessage): void {
    const { bus, subjects, onProblem, onStream } = this.#options
    if (this.#closed) return
    const dial = decodeDial(message.data, subjects)
    if (dial === undefined || message.reply === '') {
      return onProblem(dial?.id ?? '', 'a message that opens no stream')
    }
    this.#makeRoom(dial.id)
    const stream = this.#open(dial.id, this.#accepted)
    if (stream instanceof RaftTransportError) return onProblem(dial.id, stream.message)
    stream.connect(dial.inbox, dial.window)
    try {
      const told = dial.window === undefined ? undefined : STREAM_WINDOW_BYTES
      bus.publish(message.reply, encodeAccepted(stream.inbox, told))
    } catch (error) {
      stream.close()
      return onProblem(dial.id, asTransportError(error, 'closed', 'answering a dial').message)
    }
    onStream(stream)
  }

  /** Ends the stream that has been silent for longest when the peer, or all, have too many [D-52]. */
  #makeRoom(peer: string): void {
    const own = [...this.#accepted].filter((stream) => stream.peer === peer)
    const crowd = own.length >= ACCEPTED_PER_PEER ? own : [...this.#accepted]
    if (own.length < ACCEPTED_PER_PEER && crowd.length < ACCEPTED_STREAMS) return
    const silent = crowd.reduce((a, b) => (b.lastHeardMs < a.lastHeardMs ? b : a))
    silent.fail(new RaftTransportError('closed', 'too many streams'))
    this.#options.onProblem(silent.peer, 'too many streams: the longest silent one was closed')
  }

  #open(peer: string, streams: Set<NatsStream>): NatsStream | RaftTransportError {
    const { bus, subjects, serverId, clock, random } = this.#options
    const inbox = subjects.raftStream(serverId, random.id())
    try {
      const onEnd = (ended: NatsStream): void => void streams.delete(ended)
      const stream = new NatsStream({ bus, clock, memory: this.#memory, peer, inbox, onEnd })
      streams.add(stream)
      return stream
    } catch (error) {
      return asTransportError(error, 'unreachable', 'listening for a stream')
    }
  }

  #endAll(reason: string): void {
    const error = new RaftTransportError('closed', reason)
    for (const stream of [...this.#dialed, ...this.#accepted]) stream.fail(error)
  }
}

function dialError(peer: string, error: unknown): RaftTransportError {
  const timedOut =
    error instanceof Error && (error as { readonly code?: unknown }).code === 'timeout'
  const { message } = asTransportError(error, 'unreachable', `dialing ${peer}`)
  return new RaftTransportError(timedOut ? 'timeout' : 'unreachable', message, { cause: error })
}
