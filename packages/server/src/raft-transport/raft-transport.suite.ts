import { NatsServer } from '@liftbridge/nats'
import {
  ClusterSubjects,
  encodeRaftRequest,
  RaftReplyReader,
  type AppendEntriesRequest,
  type RaftReplyEvent,
  type RaftRequest,
  type RaftRpcKind,
} from '@liftbridge/wire'
import { EmbeddedBus } from '../adapters/embedded-bus.ts'
import { createSystemRandom } from '../adapters/system-random.ts'
import type { Bus } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { RaftRequestHandler } from './raft-server.ts'
import { RaftTransport } from './raft-transport.ts'
import { decodeAccepted } from './handshake.ts'
import type { NatsStream } from './nats-stream.ts'
import { StreamEndpoint } from './stream-endpoint.ts'

export const subjects: ClusterSubjects = new ClusterSubjects('test')

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  #now = 0
  #timers: { readonly at: number; readonly callback: () => void }[] = []

  wallNs(): bigint {
    return BigInt(this.#now) * 1_000_000n
  }

  monotonicMs(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  get pending(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer)
      timer.callback()
    }
  }
}

/** Lets everything run that waits for no time to pass. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits for a condition that other promises bring about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

/** Servers with their transports on one NATS in process, on one clock that stands still. */
export class World {
  readonly nats = new NatsServer()
  readonly clock = new ManualClock()
  readonly problems: string[] = []
  readonly #open: { close(): Promise<void> }[] = []

  bus(name = 'test'): EmbeddedBus {
    const bus = new EmbeddedBus(this.nats, { name, echo: false })
    this.#open.push(bus)
    return bus
  }

  transport(serverId: string, onRequest: RaftRequestHandler, bus: Bus = this.bus()): RaftTransport {
    const transport = new RaftTransport({
      bus,
      subjects,
      serverId,
      clock: this.clock,
      random: createSystemRandom(),
      onRequest,
      onProblem: (peer, reason) => this.problems.push(`${peer}: ${reason}`),
    })
    transport.start()
    this.#open.unshift(transport)
    return transport
  }

  async close(): Promise<void> {
    for (const each of this.#open) await each.close()
    await this.nats.close()
  }
}

export const nobody: RaftRequestHandler = () => Promise.reject(new Error('not asked'))

/** An AppendEntries that can be told from others by its term, and is no heartbeat. */
export function append(term: number): AppendEntriesRequest {
  const none = { prevLogTerm: 0, entries: [], leaderCommitIndex: 0 }
  return { kind: 'append-entries', term, prevLogIndex: 1, ...none }
}

export function heartbeat(term: number): AppendEntriesRequest {
  return { ...append(term), prevLogIndex: 0 }
}

/** The client of a Go server: a bus, two inboxes, and nothing that it does not do itself. */
export class BareClient {
  readonly bus: Bus
  readonly inbox: string
  readonly received: Uint8Array[] = []
  peerInbox = ''
  ended = false

  constructor(bus: Bus, name = 'go') {
    this.bus = bus
    this.inbox = subjects.raftStream(name, createSystemRandom().id())
    bus.subscribe(this.inbox, ({ data }) => {
      if (data.length === 0) this.ended = true
      else this.received.push(data.slice())
    })
  }

  async dial(peer: string, id = 'go'): Promise<void> {
    const dial = Buffer.from(JSON.stringify({ id, inbox: this.inbox }))
    const answer = await this.bus.request(subjects.raftAccept(peer), dial, 5000)
    this.peerInbox = decodeAccepted(answer.data, subjects)?.inbox ?? ''
  }

  send(bytes: Uint8Array): void {
    this.bus.publish(this.peerInbox, bytes)
  }

  request(request: RaftRequest, protocolVersion = 3): void {
    const header = { protocolVersion, id: 'go', address: 'go' }
    this.send(encodeRaftRequest(request, header))
  }

  /** The replies that have arrived, to requests of these kinds. */
  replies(...kinds: readonly RaftRpcKind[]): (RaftReplyEvent | undefined)[] {
    const reader = new RaftReplyReader()
    for (const bytes of this.received) reader.push(bytes)
    return kinds.map((kind) => reader.next(kind))
  }
}

/** An endpoint that listens, and the streams that it has accepted. */
export class TestEndpoint {
  readonly endpoint: StreamEndpoint
  readonly streams: NatsStream[] = []

  constructor(world: World, serverId: string, bus: Bus = world.bus()) {
    this.endpoint = new StreamEndpoint({
      bus,
      subjects,
      serverId,
      clock: world.clock,
      random: createSystemRandom(),
      onStream: (stream) => this.streams.push(stream),
      onProblem: (peer, reason) => world.problems.push(`${peer}: ${reason}`),
    })
    this.endpoint.listen()
  }
}
