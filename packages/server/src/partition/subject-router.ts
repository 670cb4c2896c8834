/**
 * Which partitions led here hear what is published on a subject.
 *
 * A message that a gRPC client publishes is handed to the partitions led here in process, as a
 * value, and its envelope goes to NATS for everybody else on a connection without echo, so that no
 * partition gets it twice [reliability D6]. When a load-balance group of ours listens to the
 * subject, the whole message takes the way through NATS, which gives one copy to one member.
 */
import {
  decodePublishEnvelope,
  PublishView,
  subjectMatches,
  hasWildcard,
  type PublishEnvelopeWriter,
} from '@liftbridge/wire'
import { BusError, type Bus, type BusMessage } from '../bus.ts'
import type { AckSink } from './ack.ts'
import { arrivalAt, type Arrival } from './arrival.ts'

/** A partition led here, as the router sees it. */
export interface Listener {
  /** Subject it listens to; may have wildcards. */
  readonly subject: string
  /** Load-balance group; empty for none. */
  readonly group: string
  accept(publish: PublishView, arrival: Arrival, sink: AckSink | undefined): void
  /** Starts writing what was accepted. */
  kick(): void
}

export type Route = {
  readonly subject: string
  readonly arrival: Arrival
  /** Listeners without a group. */
  readonly local: readonly Listener[]
  /** A load-balance group of ours listens: the message must go through NATS. */
  readonly grouped: boolean
}

/** How a publish reaches its route. */
export type Way = {
  readonly route: Route
  readonly envelopes: PublishEnvelopeWriter
  /** The listener that answers; undefined lets all of them answer. */
  readonly local: Listener | undefined
}

export type RouterOptions = {
  /** Subscriptions of partitions, and forwarded messages: must not echo. */
  readonly streams: Bus
  /** Whatever must come back to this server: must echo, or be another connection. */
  readonly publishes: Bus
  /** Answers messages that came through NATS. */
  readonly natsAcks: AckSink
}

const NO_FIELDS = new Uint8Array(0)
/** Largest number of remembered routes. */
const ROUTES_MAX = 4_096
/** Forwarded bytes that wait for NATS to read them before publishers are held. */
const FORWARD_CONGESTED_BYTES = 8 * 1_024 * 1_024
/** Envelopes for forwarding are written back to back into slabs of this size. */
const SLAB_BYTES = 256 * 1_024

export class SubjectRouter {
  readonly #options: RouterOptions
  /** By subject: a publish to a literal one looks at those that name it, not at all there are. */
  readonly #literal = new Map<string, Set<Listener>>()
  readonly #wildcard = new Set<Listener>()
  readonly #routes = new Map<string, Route>()
  readonly #view = new PublishView()
  /** Listeners that accepted since the last kick. */
  readonly #dirty = new Set<Listener>()
  #kickQueued = false
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #slabUsed = 0
  /** Grows whenever a route may have changed. */
  version = 0

  constructor(options: RouterOptions) {
    this.#options = options
  }

  /** Begins to hear; the result ends it. Throws BusError when NATS refuses the subject. */
  listen(listener: Listener): () => void {
    const options = listener.group === '' ? {} : { queue: listener.group }
    const subscription = this.#options.streams.subscribe(
      listener.subject,
      (message) => this.#receive(listener, message),
      options,
    )
    this.#remember(listener)
    this.#forgetRoutes()
    return () => {
      subscription.unsubscribe()
      this.#forget(listener)
      this.#dirty.delete(listener)
      this.#forgetRoutes()
    }
  }

  /** Resolves when NATS knows all subscriptions: from then on nothing published is missed. */
  flush(): Promise<void> {
    return this.#options.streams.flush()
  }

  routeOf(subject: string): Route {
    const known = this.#routes.get(subject)
    if (known) return known
    const matching = [...(this.#literal.get(subject) ?? [])]
    for (const listener of this.#wildcard) {
      if (subjectMatches(listener.subject, subject)) matching.push(listener)
    }
    const route: Route = {
      subject,
      arrival: arrivalAt(subject, ''),
      local: matching.filter((listener) => listener.group === ''),
      grouped: matching.some((listener) => listener.group !== ''),
    }
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear()
    this.#routes.set(subject, route)
    return route
  }

  /**
   * Publishes to the listeners here and to NATS; `sink` is answered as `way` says. Throws
   * BusError when NATS cannot take the message; nothing is stored then. Not for grouped routes.
   */
  publish(way: Way, publish: PublishView, sink: AckSink | undefined): void {
    const { route, envelopes, local } = way
    const { streams } = this.#options
    const size = envelopes.size(publish)
    if (size > streams.maxPayloadBytes) throw tooLarge()
    if (streams.hasInterest(route.subject)) {
      streams.publish(route.subject, this.#encode(publish, envelopes, { size }))
    }
    for (const listener of route.local) {
      const answers = local === undefined || listener === local
      listener.accept(publish, route.arrival, answers ? sink : undefined)
      this.#dirty.add(listener)
    }
  }

  /**
   * True when NATS takes forwarded messages slower than they come; a publisher that can wait should
   * await `drained`.
   */
  get congested(): boolean {
    return this.#options.streams.pendingBytes > FORWARD_CONGESTED_BYTES
  }

  /** Resolves when NATS has taken enough of what was forwarded, or is lost. */
  drained(): Promise<void> {
    return this.#options.streams.drained()
  }

  /** Publishes through NATS alone; answers come to `ackInbox`. Throws BusError. */
  publishThroughNats(
    subject: string,
    publish: PublishView,
    envelopes: PublishEnvelopeWriter,
    ackInbox: Uint8Array | undefined,
  ): void {
    const size = envelopes.size(publish, ackInbox)
    if (size > this.#options.publishes.maxPayloadBytes) throw tooLarge()
    const payload = this.#encode(publish, envelopes, { size, ackInbox })
    this.#options.publishes.publish(subject, payload)
  }

  /** Starts the writes of all listeners that accepted something: the end of a run of publishes. */
  kick(): void {
    for (const listener of this.#dirty) listener.kick()
    this.#dirty.clear()
  }

  #receive(listener: Listener, message: BusMessage): void {
    const view = this.#view
    if (!decodePublishEnvelope(view, message.data)) loadPlain(view, message.data)
    const arrival = arrivalAt(message.subject, message.reply)
    const answered = view.ackInboxEnd > view.ackInboxStart
    listener.accept(view, arrival, answered ? this.#options.natsAcks : undefined)
    this.#dirty.add(listener)
    if (this.#kickQueued) return
    // NATS hands over what one read brought in one turn: write it together.
    this.#kickQueued = true
    queueMicrotask(() => {
      this.#kickQueued = false
      this.kick()
    })
  }

  #encode(
    publish: PublishView,
    envelopes: PublishEnvelopeWriter,
    shape: { readonly size: number; readonly ackInbox?: Uint8Array | undefined },
  ): Uint8Array {
    if (shape.size > SLAB_BYTES / 4) {
      const alone = Buffer.allocUnsafeSlow(shape.size)
      envelopes.write(alone, 0, publish, shape.ackInbox)
      return alone
    }
    if (this.#slabUsed + shape.size > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabUsed = 0
    }
    const start = this.#slabUsed
    this.#slabUsed = envelopes.write(this.#slab, start, publish, shape.ackInbox)
    return this.#slab.subarray(start, this.#slabUsed)
  }

  #remember(listener: Listener): void {
    const { subject } = listener
    if (hasWildcard(subject)) {
      this.#wildcard.add(listener)
      return
    }
    const sharing = this.#literal.get(subject) ?? new Set()
    sharing.add(listener)
    this.#literal.set(subject, sharing)
  }

  #forget(listener: Listener): void {
    this.#wildcard.delete(listener)
    const sharing = this.#literal.get(listener.subject)
    sharing?.delete(listener)
    if (sharing?.size === 0) this.#literal.delete(listener.subject)
  }

  #forgetRoutes(): void {
    this.#routes.clear()
    this.version++
  }
}

/** The whole payload is the value of a message without key, inbox or policy [LB data plane 1.5]. */
function loadPlain(view: PublishView, payload: Uint8Array): void {
  view.decode(NO_FIELDS, payload, 0, 0)
  view.valueStart = 0
  view.valueEnd = payload.length
}

function tooLarge(): BusError {
  return new BusError('too-large', 'nats: maximum payload exceeded')
}
