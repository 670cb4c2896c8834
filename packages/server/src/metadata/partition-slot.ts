import type { Clock } from '../clock.ts'
import { Backoff, LONGEST_PAUSE_MS } from './backoff.ts'
import type { WantedPartition } from './partition-host.ts'

/** What a slot is told to bring about. */
export type Want =
  /** Not here: not wanted at all, paused, or held by other servers. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'running'; readonly wanted: WantedPartition }
  /** Wanted, but the previous incarnation's data has to go first; a wake follows. */
  | { readonly kind: 'later' }

/** What became of a partition on this server. */
export type Settlement =
  | { readonly kind: 'running' }
  | { readonly kind: 'absent' }
  /** The last attempt failed; attempts go on. */
  | { readonly kind: 'failed'; readonly reason: string }

export type SlotStep = 'open' | 'update' | 'close'

export interface SlotOwner {
  want(): Want
  carryOut(step: SlotStep, wanted: WantedPartition): Promise<void>
  /** What runs, or is about to, must not go on under the leadership it has. Must not throw. */
  superseded(running: WantedPartition): void
  failed(failure: SlotFailure): void
  recovered(): void
  /** Called whenever the slot has come to rest or let go of an incarnation. */
  rested(): void
}

export interface SlotFailure {
  readonly step: SlotStep
  readonly attempt: number
  readonly pauseMs: number
  readonly error: unknown
}

interface PlannedStep {
  readonly step: SlotStep
  readonly wanted: WantedPartition
}

/**
 * One partition on this server: closes the gap between what runs and what is wanted, one step at
 * a time, and reads the want anew before each, so that any number of changes in between cost
 * nothing and none is missed. A failed step is tried again after a pause, or at once when
 * something else is wanted.
 */
export class PartitionSlot {
  readonly #owner: SlotOwner
  readonly #clock: Clock
  readonly #backoff: Backoff
  /** When the first step after the last failure succeeded. */
  #wellSinceMs: number | undefined
  #running: WantedPartition | undefined
  #inFlight: PlannedStep | undefined
  #busy = false
  #stopped = false
  #failure: { readonly planned: PlannedStep; readonly reason: string } | undefined
  /** Why what runs has to be closed and opened again. */
  #restart: string | undefined
  #waiters: ((settlement: Settlement) => void)[] = []

  constructor(owner: SlotOwner, clock: Clock) {
    this.#owner = owner
    this.#clock = clock
    this.#backoff = new Backoff(clock)
  }

  get running(): WantedPartition | undefined {
    return this.#running
  }

  /** Why the last attempt failed, while that still matters. */
  get failure(): string | undefined {
    return this.#failure?.reason
  }

  /** Whether anything of this incarnation may be open here. */
  holds(incarnation: number): boolean {
    return (
      this.#running?.stream.incarnation === incarnation ||
      this.#inFlight?.wanted.stream.incarnation === incarnation
    )
  }

  /** At rest with nothing running and nobody waiting: the slot may be forgotten. */
  get idle(): boolean {
    return !this.#busy && this.#running === undefined && this.#waiters.length === 0
  }

  /** Something may have changed. */
  wake(): void {
    this.#supersede()
    this.#start()
  }

  /** See `StreamWork.giveUpShared`; what is wanted has changed accordingly. */
  giveUpShared(): void {
    for (const held of [this.#running, this.#inFlight?.wanted]) {
      const isShared = held !== undefined && held.partition.replicas.length > 1
      if (isShared) this.#owner.superseded(held)
    }
    this.#start()
  }

  #start(): void {
    // A busy slot reads the want again before it rests.
    if (this.#busy) return
    const planned = this.#plan()
    if (this.#backoff.pausing && sameStep(planned, this.#failure?.planned)) return
    this.#backoff.interrupt()
    this.#busy = true
    // `#run` handles every failure and never rejects.
    void this.#run()
  }

  /**
   * What runs cannot go on as it is: it is closed now and opened again after a pause. `reason`
   * stands as the failure meanwhile.
   */
  restart(reason: string): void {
    if (this.#restart !== undefined) return
    // It may fail in the very turn in which its opening succeeds.
    if (this.#running === undefined && this.#inFlight?.step !== 'open') return
    this.#restart = reason
    this.wake()
  }

  /** Resolves at the next rest or failure; at once when at rest. */
  settled(): Promise<Settlement> {
    const atRest = !this.#busy && this.#want().kind !== 'later'
    if (atRest) return Promise.resolve(this.#settlement())
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** What has to happen first does not: whoever waits is told. */
  blocked(reason: string): void {
    if (this.#busy) return
    for (const waiter of this.#waiters.splice(0)) waiter({ kind: 'failed', reason })
  }

  /** From now on nothing is wanted: closes what runs, once, and rests. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#backoff.reset()
    this.#failure = undefined
    this.#start()
    while (this.#busy) await new Promise<Settlement>((resolve) => this.#waiters.push(resolve))
    this.#backoff.reset()
  }

  async #run(): Promise<void> {
    for (;;) {
      const planned = this.#plan()
      if (planned === undefined) break
      this.#inFlight = planned
      try {
        await this.#owner.carryOut(planned.step, planned.wanted)
      } catch (error) {
        // A failed opening left nothing running that could be restarted.
        if (planned.step === 'open') this.#restart = undefined
        this.#rest(() => this.#fail(planned, error))
        return
      }
      this.#inFlight = undefined
      this.#running = planned.step === 'close' ? undefined : planned.wanted
      if (this.#failure !== undefined) this.#owner.recovered()
      this.#failure = undefined
      this.#backoff.interrupt()
      this.#wellSinceMs ??= this.#clock.monotonicMs()
      if (planned.step !== 'close') continue
      this.#owner.rested()
      if (this.#failRestart()) return
    }
    this.#rest(() => {
      this.#failure = undefined
      this.#backoff.interrupt()
    })
  }

  /** After the closing half of a restart: pauses before the other half, if it is still wanted. */
  #failRestart(): boolean {
    const reason = this.#restart
    this.#restart = undefined
    const next = this.#plan()
    if (reason === undefined || next === undefined) return false
    this.#rest(() => this.#fail(next, new Error(reason)))
    return true
  }

  /** A leader must not go on acknowledging while its turn to be changed has not come [E2]. */
  #supersede(): void {
    const want = this.#want()
    for (const held of [this.#running, this.#inFlight?.wanted]) {
      if (held !== undefined && isSuperseded(want, held)) this.#owner.superseded(held)
    }
  }

  #want(): Want {
    return this.#stopped ? { kind: 'absent' } : this.#owner.want()
  }

  #plan(): PlannedStep | undefined {
    const want = this.#want()
    const running = this.#running
    if (running !== undefined) {
      const same =
        want.kind === 'running' && want.wanted.stream.incarnation === running.stream.incarnation
      if (!same || this.#restart !== undefined) return { step: 'close', wanted: running }
      return want.wanted.partition === running.partition
        ? undefined
        : { step: 'update', wanted: want.wanted }
    }
    return want.kind === 'running' ? { step: 'open', wanted: want.wanted } : undefined
  }

  #fail(planned: PlannedStep, error: unknown): void {
    this.#failure = { planned, reason: error instanceof Error ? error.message : String(error) }
    // What opens well and fails soon, over and over, is tried less and less often.
    const wellMs = this.#clock.monotonicMs() - (this.#wellSinceMs ?? Number.POSITIVE_INFINITY)
    if (wellMs >= LONGEST_PAUSE_MS) this.#backoff.reset()
    this.#wellSinceMs = undefined
    const attempt = this.#backoff.failures + 1
    const pauseMs = this.#stopped ? 0 : this.#backoff.failed(() => this.wake())
    this.#owner.failed({ step: planned.step, attempt, pauseMs, error })
    // What is wanted may have changed while the step was under way.
    if (!this.#stopped && !sameStep(this.#plan(), planned)) this.wake()
  }

  #rest(before: () => void): void {
    this.#inFlight = undefined
    this.#busy = false
    before()
    if (!this.#busy && this.#want().kind !== 'later') {
      const settlement = this.#settlement()
      for (const waiter of this.#waiters.splice(0)) waiter(settlement)
    }
    this.#owner.rested()
  }

  #settlement(): Settlement {
    if (this.#failure !== undefined) return { kind: 'failed', reason: this.#failure.reason }
    return { kind: this.#running === undefined ? 'absent' : 'running' }
  }
}

/** A pause or a deletion takes no leadership away: what was accepted before is finished. */
const isSuperseded = (want: Want, held: WantedPartition): boolean =>
  want.kind === 'running' &&
  want.wanted.stream.incarnation === held.stream.incarnation &&
  want.wanted.partition.leaderEpoch !== held.partition.leaderEpoch

const sameStep = (a: PlannedStep | undefined, b: PlannedStep | undefined): boolean =>
  a?.step === b?.step &&
  a?.wanted.partition === b?.wanted.partition &&
  a?.wanted.stream.incarnation === b?.wanted.stream.incarnation
