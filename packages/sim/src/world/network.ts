/** How the simulated network behaves: delays, losses and cuts. The nemesis changes it, NATS obeys. */
import type { SimRandom } from '../random.ts'

/** The connections of a server by their purpose; faults may hit one kind alone. */
export type Path = 'all' | 'raft' | 'data'

/** What happens to messages from one host to another, while it is in force. */
export interface RouteFault {
  /** Host the message comes from; '*' for any. */
  readonly from: string
  readonly to: string
  readonly path: Path
  readonly loss: number
  readonly duplication: number
  /** Added to the delay of each, milliseconds at most. */
  readonly extraDelayMs: number
}

/** The way between a host and NATS is blocked: TCP holds what is sent until it heals or breaks. */
export interface Stall {
  readonly host: string
  readonly direction: 'to-nats' | 'from-nats' | 'both'
  readonly path: Path
}

export interface Fate {
  readonly lost: boolean
  readonly copies: number
  readonly delayUs: number
}

const DELIVERED: Fate = { lost: false, copies: 1, delayUs: 0 }

export class Network {
  /** Mean of the delay of one hop, microseconds. */
  meanDelayUs = 150
  readonly #routes = new Set<RouteFault>()
  readonly #stalls = new Set<Stall>()
  readonly #random: SimRandom
  #listeners: (() => void)[] = []

  constructor(random: SimRandom) {
    this.#random = random
  }

  /** Begins a fault between hosts; the result ends it. */
  disturb(fault: RouteFault): () => void {
    this.#routes.add(fault)
    return () => void this.#routes.delete(fault)
  }

  /** Blocks a way to NATS; the result opens it. */
  stall(stall: Stall): () => void {
    this.#stalls.add(stall)
    return () => {
      this.#stalls.delete(stall)
      for (const listener of this.#listeners) listener()
    }
  }

  /** Ends all faults. */
  heal(): void {
    this.#routes.clear()
    this.#stalls.clear()
    for (const listener of this.#listeners) listener()
  }

  /** Called whenever a stall has ended. */
  onHeal(listener: () => void): void {
    this.#listeners.push(listener)
  }

  get disturbed(): boolean {
    return this.#routes.size > 0 || this.#stalls.size > 0
  }

  isStalled(host: string, connection: string, direction: 'to-nats' | 'from-nats'): boolean {
    for (const stall of this.#stalls) {
      if (stall.host !== host || !takesPath(connection, stall.path)) continue
      if (stall.direction === 'both' || stall.direction === direction) return true
    }
    return false
  }

  /** A delay of one hop: mostly near the mean, now and then a multiple of it. */
  hopUs(): number {
    const draw = this.#random.of('hop').next()
    const tail = draw > 0.98 ? 20 * (draw - 0.98) * 50 : 0
    return this.meanDelayUs * (0.5 + draw + tail)
  }

  /** What becomes of a message for a connection named `connection` of host `to`. */
  fate(from: string, to: string, connection: string): Fate {
    if (this.#routes.size === 0) return DELIVERED
    let lost = false
    let copies = 1
    let delayUs = 0
    for (const route of this.#routes) {
      if (!covers(route.from, from) || !covers(route.to, to)) continue
      if (!takesPath(connection, route.path)) continue
      lost ||= this.#random.of('loss').chance(route.loss)
      if (this.#random.of('duplication').chance(route.duplication)) copies = 2
      delayUs += this.#random.of('extra').next() * route.extraDelayMs * 1_000
    }
    return { lost, copies, delayUs }
  }
}

function covers(pattern: string, host: string): boolean {
  return pattern === '*' || pattern === host
}

function takesPath(connection: string, path: Path): boolean {
  if (path === 'all') return true
  return (path === 'raft') === connection.endsWith('raft')
}
