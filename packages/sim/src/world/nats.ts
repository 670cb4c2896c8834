/**
 * NATS as servers and clients see it: core NATS, at most once, in order per connection. What TCP
 * does is kept: within a connection nothing is lost, doubled or reordered; a blocked way holds what
 * is sent, and when the connection breaks all of it is gone. Messages between hosts may be lost,
 * doubled or late, as when the servers of a NATS cluster lose their routes.
 */
import type { SimRandom } from '../random.ts'
import type { BusStatus } from '@liftbridge/server'
import { SimBus, type ConnectOptions, type Delivered, type Sent } from './bus.ts'
import type { Network } from './network.ts'
import type { Scheduler } from './scheduler.ts'
import { Subscriptions } from './subscriptions.ts'

export interface NatsWorld {
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly network: Network
  /** What the nemesis and the marks want to know. */
  readonly onEvent?: (event: NatsEvent) => void
  readonly maxPayloadBytes?: number
  /** Bytes that may wait for a connection before it is cut as a slow consumer. */
  readonly maxPendingBytes?: number
}

export type NatsEvent =
  | { readonly kind: 'connected' | 'slow-consumer' | 'disconnected'; readonly name: string }
  | { readonly kind: 'lost' | 'duplicated' | 'no-responders'; readonly subject: string }

/** A message as it passed through NATS, before faults; for whoever watches. */
export interface Tapped {
  readonly from: string
  readonly subject: string
  readonly reply: string
  readonly data: Uint8Array
}

type ServerSubscription = {
  readonly subject: string
  readonly queue: string
  readonly id: number
  readonly connection: Connection
  left: number
}

/** The server's side of one connection. */
export type Connection = {
  readonly bus: SimBus
  /** By the client's number. */
  readonly subscriptions: Map<number, ServerSubscription>
  readonly toNats: Sent[][]
  readonly fromNats: Delivered[]
  heldBytes: number
  lastArrivalUs: number
  lastDeliveryUs: number
  closed: boolean
  /** By sender: when the latest of its messages that were delayed arrives. */
  readonly latestFrom: Map<Connection, number>
  /** Deliveries gathered while one batch is routed. */
  gathering: Delivered[] | undefined
}

/** A blocked connection is given up after so long, as by TCP or by unanswered pings. */
const BREAK_AFTER_US = 12_000_000

export class SimNats {
  readonly #world: NatsWorld
  readonly #subscriptions = new Subscriptions<ServerSubscription>()
  readonly #connections = new Set<Connection>()
  readonly #taps: ((message: Tapped) => void)[] = []
  readonly #watched = new Set<Connection>()
  #up = true
  /** Connections that got something from the batch that is being routed. */
  #gathered = new Set<Connection>()

  constructor(world: NatsWorld) {
    this.#world = world
    world.network.onHeal(() => this.#release())
  }

  get maxPayloadBytes(): number {
    return this.#world.maxPayloadBytes ?? 1_048_576
  }

  get up(): boolean {
    return this.#up
  }

  get world(): NatsWorld {
    return this.#world
  }

  /** Resolves with a connected bus, as soon as NATS can be reached. */
  async connect(options: ConnectOptions): Promise<SimBus> {
    const bus = new SimBus(this, options)
    await bus.connectFirst()
    return bus
  }

  /** Sees every message that NATS takes. */
  tap(listener: (message: Tapped) => void): void {
    this.#taps.push(listener)
  }

  /** Everything on the way is lost and everybody disconnected, until `start`. */
  stop(reason = 'NATS stopped'): void {
    this.#up = false
    for (const connection of this.#connections) this.cut(connection, reason)
  }

  start(): void {
    this.#up = true
  }

  /** Cuts the connections of one host. */
  cutHost(host: string, reason: string): void {
    for (const connection of this.#connections) {
      if (connection.bus.options.host === host) this.cut(connection, reason)
    }
  }

  /** Used by the bus: a connection, or undefined when NATS cannot be reached now. */
  accept(bus: SimBus): Connection | undefined {
    const { host, name } = bus.options
    const { network } = this.#world
    if (!this.#up) return undefined
    if (network.isStalled(host, name, 'to-nats')) return undefined
    if (network.isStalled(host, name, 'from-nats')) return undefined
    const connection: Connection = {
      bus,
      subscriptions: new Map(),
      toNats: [],
      fromNats: [],
      heldBytes: 0,
      lastArrivalUs: 0,
      lastDeliveryUs: 0,
      closed: false,
      gathering: undefined,
      latestFrom: new Map(),
    }
    this.#connections.add(connection)
    this.#tell({ kind: 'connected', name })
    return connection
  }

  /** Used by the bus: a run of commands leaves for NATS; they arrive together, in order. */
  send(connection: Connection, commands: Sent[]): void {
    const { scheduler, network } = this.#world
    if (connection.closed) return
    const arrivalUs = Math.max(scheduler.nowUs + network.hopUs(), connection.lastArrivalUs)
    connection.lastArrivalUs = arrivalUs
    connection.toNats.push(commands)
    scheduler.after(arrivalUs - scheduler.nowUs, 'nats', () => this.#arrive(connection))
  }

  /** Ends a connection; the client hears of it `afterUs` later, at once when it closed itself. */
  cut(connection: Connection, reason: string, told: 'told' | 'untold' = 'told'): void {
    if (connection.closed) return
    connection.closed = true
    this.#connections.delete(connection)
    this.#watched.delete(connection)
    for (const subscription of connection.subscriptions.values()) {
      this.#subscriptions.remove(subscription)
    }
    const { bus } = connection
    const waiting = connection.toNats.reduce((sum, batch) => sum + bytesOf(batch), 0)
    connection.toNats.length = 0
    connection.fromNats.length = 0
    bus.gone(waiting)
    if (told === 'untold') return
    this.#tell({ kind: 'disconnected', name: bus.options.name })
    bus.options.process.after(this.#world.network.hopUs(), 'nats lost', () => {
      bus.disconnected(connection, { kind: 'disconnected', reason } satisfies BusStatus)
    })
  }

  #arrive(connection: Connection): void {
    if (connection.closed) return
    const { host, name } = connection.bus.options
    if (this.#world.network.isStalled(host, name, 'to-nats')) {
      this.#watch(connection)
      return
    }
    this.#routeNext(connection)
  }

  #routeNext(connection: Connection): void {
    const commands = connection.toNats.shift()
    if (commands === undefined) return
    for (const command of commands) {
      this.#execute(connection, command)
      if (connection.closed) break
    }
    for (const receiver of this.#gathered) this.#dispatch(receiver)
    this.#gathered.clear()
    connection.bus.arrived(bytesOf(commands))
  }

  #execute(connection: Connection, command: Sent): void {
    switch (command.kind) {
      case 'publish':
        this.#publish(connection, command)
        return
      case 'subscribe': {
        const { id, subject, queue, max } = command
        const left = max === 0 ? Infinity : max
        const subscription = { subject, queue, id, connection, left }
        connection.subscriptions.set(id, subscription)
        this.#subscriptions.add(subscription)
        return
      }
      case 'unsubscribe':
        this.#end(connection.subscriptions.get(command.id))
        return
      case 'ping':
        this.#gather(connection, { kind: 'pong' })
        return
      default:
        command satisfies never
    }
  }

  #publish(from: Connection, message: Extract<Sent, { kind: 'publish' }>): void {
    const { subject, reply, data } = message
    const { host } = from.bus.options
    for (const tap of this.#taps) tap({ from: host, subject, reply, data })
    const { plain, queues } = this.#subscriptions.match(subject)
    let heard = false
    for (const subscription of plain) {
      if (subscription.connection === from && !from.bus.options.echo) continue
      heard = true
      this.#deliver(from, subscription, message)
    }
    for (const members of queues) {
      const able = members.filter((one) => one.connection !== from || from.bus.options.echo)
      const [first, ...rest] = able
      if (first === undefined) continue
      heard = true
      const chosen = this.#world.random.of('queue').pick([first, ...rest])
      this.#deliver(from, chosen, message)
    }
    if (heard || reply === '') return
    this.#tell({ kind: 'no-responders', subject })
    this.#gather(from, { kind: 'no-responders', inbox: reply })
  }

  /** What one connection sends to another stays in order, however it is delayed. */
  #behindEarlier(from: Connection, to: Connection, delayUs: number): number {
    const { nowUs } = this.#world.scheduler
    const atUs = Math.max(nowUs + delayUs, to.latestFrom.get(from) ?? 0)
    if (atUs > nowUs) to.latestFrom.set(from, atUs)
    else to.latestFrom.delete(from)
    return atUs - nowUs
  }

  #deliver(
    from: Connection,
    subscription: ServerSubscription,
    message: Extract<Sent, { kind: 'publish' }>,
  ): void {
    const { connection, id } = subscription
    const { host, name } = connection.bus.options
    const { subject, reply, data } = message
    const fate = this.#world.network.fate(from.bus.options.host, host, name)
    if (fate.lost) {
      this.#tell({ kind: 'lost', subject })
      return
    }
    if (fate.copies > 1) this.#tell({ kind: 'duplicated', subject })
    const delayUs = this.#behindEarlier(from, connection, fate.delayUs)
    for (let copy = 0; copy < fate.copies; copy++) {
      if (subscription.left-- <= 0) return
      if (subscription.left === 0) this.#end(subscription)
      const one: Delivered = { kind: 'message', id, subject, reply, data }
      if (copy > 0) {
        // Behind the message itself: a copy is one more of what was sent, never an earlier one.
        this.#deliverLater(connection, one, delayUs + this.#world.network.hopUs())
        continue
      }
      if (delayUs === 0) this.#gather(connection, one)
      else this.#deliverLater(connection, one, delayUs)
    }
  }

  /** A late message, by another way through a cluster of NATS servers: others overtake it. */
  #deliverLater(connection: Connection, delivered: Delivered, delayUs: number): void {
    this.#world.scheduler.after(delayUs, 'nats late', () => {
      if (connection.closed) return
      this.#gather(connection, delivered)
      this.#gathered.delete(connection)
      this.#dispatch(connection)
    })
  }

  #gather(connection: Connection, delivered: Delivered): void {
    if (connection.closed) return
    ;(connection.gathering ??= []).push(delivered)
    this.#gathered.add(connection)
  }

  /** Sends what was gathered for a connection: one read of its socket. */
  #dispatch(connection: Connection): void {
    const batch = connection.gathering ?? []
    connection.gathering = undefined
    if (connection.closed || batch.length === 0) return
    const { scheduler, network } = this.#world
    connection.fromNats.push(...batch)
    connection.heldBytes += bytesOf(batch)
    const { bus } = connection
    if (connection.heldBytes > (this.#world.maxPendingBytes ?? 8 * 1_048_576)) {
      this.#tell({ kind: 'slow-consumer', name: bus.options.name })
      this.cut(connection, 'Slow Consumer')
      return
    }
    const atUs = Math.max(scheduler.nowUs + network.hopUs(), connection.lastDeliveryUs)
    connection.lastDeliveryUs = atUs
    const count = batch.length
    bus.options.process.after(atUs - scheduler.nowUs, 'deliver', () => {
      this.#handOver(connection, count)
    })
  }

  #handOver(connection: Connection, count: number): void {
    if (connection.closed) return
    const { host, name } = connection.bus.options
    if (this.#world.network.isStalled(host, name, 'from-nats')) {
      this.#watch(connection)
      return
    }
    const batch = connection.fromNats.splice(0, count)
    connection.heldBytes -= bytesOf(batch)
    for (const delivered of batch) {
      if (connection.closed) return
      connection.bus.receive(delivered)
    }
  }

  #end(subscription: ServerSubscription | undefined): void {
    if (subscription === undefined) return
    this.#subscriptions.remove(subscription)
    subscription.connection.subscriptions.delete(subscription.id)
  }

  /** A blocked connection breaks after a while unless the way opens again. */
  #watch(connection: Connection): void {
    if (this.#watched.has(connection)) return
    this.#watched.add(connection)
    this.#world.scheduler.after(BREAK_AFTER_US, 'nats timeout', () => {
      if (this.#watched.has(connection)) this.cut(connection, 'stale connection')
    })
  }

  /** Ways have opened: what was held goes on, unless its way is blocked still. */
  #release(): void {
    const { network, scheduler } = this.#world
    for (const connection of Array.from(this.#watched)) {
      const { host, name, process } = connection.bus.options
      const isBlocked =
        network.isStalled(host, name, 'to-nats') || network.isStalled(host, name, 'from-nats')
      if (isBlocked) continue
      this.#watched.delete(connection)
      const late = connection.toNats.length
      for (let index = 0; index < late; index++) {
        connection.lastArrivalUs = Math.max(connection.lastArrivalUs, scheduler.nowUs)
        scheduler.after(0, 'nats', () => this.#arrive(connection))
      }
      const held = connection.fromNats.length
      if (held > 0) process.after(0, 'deliver', () => this.#handOver(connection, held))
    }
  }

  #tell(event: NatsEvent): void {
    this.#world.onEvent?.(event)
  }
}

function bytesOf(batch: readonly (Sent | Delivered)[]): number {
  let bytes = 0
  for (const one of batch) if ('data' in one) bytes += one.data.length
  return bytes
}
