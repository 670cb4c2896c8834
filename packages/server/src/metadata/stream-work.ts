import type { PartitionState, StreamIdentity, StreamState } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'
import { Backoff } from './backoff.ts'
import type { ConcurrencyLimit } from './concurrency-limit.ts'
import type { PartitionHost, WantedPartition } from './partition-host.ts'
import {
  PartitionSlot,
  type Settlement,
  type SlotFailure,
  type SlotStep,
  type Want,
} from './partition-slot.ts'
import type { ReconcilerReport } from './reconciler-report.ts'

/** What the reconciler needs of the directories; `StreamDirectories` is it. */
export interface StreamDataDirectories {
  partitionPath(stream: string, partition: number): string
  claim(stream: StreamIdentity): Promise<void>
  remove(stream: StreamIdentity): Promise<boolean>
  tidy(
    streams: ReadonlyMap<string, StreamIdentity>,
    deleted: readonly StreamIdentity[],
  ): Promise<void>
}

/** What the work on every stream shares. */
export interface WorkContext {
  readonly serverId: string
  readonly stream: (name: string) => StreamState | undefined
  readonly host: PartitionHost
  readonly directories: StreamDataDirectories
  readonly clock: Clock
  readonly limit: ConcurrencyLimit
  readonly report: (report: ReconcilerReport) => void
  /** See `Reconciler.giveUpShared`. */
  readonly hasGivenUp: () => boolean
  /** Called when the work has nothing left to do. */
  readonly idle: (name: string, work: StreamWork) => void
}

/**
 * Everything this server has to do for the streams of one name: a slot for each partition, the
 * claim of the directory, and the removal of deleted incarnations, oldest first. Order is kept
 * only where it must be: an incarnation's data goes when none of its partitions is open, and the
 * next incarnation opens when it has gone.
 */
export class StreamWork {
  readonly #name: string
  readonly #context: WorkContext
  readonly #slots = new Map<number, PartitionSlot>()
  readonly #removals: StreamIdentity[] = []
  readonly #backoff: Backoff
  #removal: Promise<void> | undefined
  #removalFailure: string | undefined
  #stopped = false
  #claim: { readonly incarnation: number; readonly done: Promise<void> } | undefined

  constructor(name: string, context: WorkContext) {
    this.#name = name
    this.#context = context
    this.#backoff = new Backoff(context.clock)
  }

  /** Nothing runs, nothing is to be removed, nobody waits: may be forgotten. */
  get idle(): boolean {
    return this.#slots.size === 0 && this.#removals.length === 0
  }

  /** The partitions that failed last, with the reason. */
  *failures(): Iterable<{ readonly partition: number; readonly reason: string }> {
    for (const [partition, slot] of this.#slots) {
      if (slot.failure !== undefined) yield { partition, reason: slot.failure }
    }
  }

  *running(): Iterable<WantedPartition> {
    for (const slot of this.#slots.values()) if (slot.running !== undefined) yield slot.running
  }

  /**
   * The stream may have changed, or only the partitions named: a failover changes a thousand of one
   * stream one after the other, and each must cost no more than itself.
   */
  wake(partitions?: readonly number[]): void {
    if (partitions !== undefined) {
      for (const id of partitions) this.#wakeOne(id)
      this.#removeNext()
      return
    }
    const stream = this.#context.stream(this.#name)
    for (const { id } of stream?.partitions ?? []) {
      // A slot is made only for what is to run here; existing ones are woken below.
      if (!this.#slots.has(id) && this.#want(id).kind === 'running') this.#slotOf(id)
    }
    for (const slot of this.#slots.values()) slot.wake()
    this.#removeNext()
  }

  #wakeOne(id: number): void {
    if (this.#slots.has(id) || this.#want(id).kind === 'running') this.#slotOf(id).wake()
  }

  /** The committed deletion of an incarnation. */
  deleted(stream: StreamIdentity): void {
    this.#removals.push(stream)
    this.wake()
  }

  /**
   * This server must do nothing more for partitions that others hold as well: what runs of them
   * acknowledges, serves and copies nothing from this moment on, and is closed.
   */
  giveUpShared(): void {
    for (const slot of this.#slots.values()) slot.giveUpShared()
  }

  /** What runs of a partition has to be closed and opened again. */
  restart(partition: number, reason: string): void {
    this.#slots.get(partition)?.restart(reason)
  }

  settled(partition: number): Promise<Settlement> {
    if (!this.#slots.has(partition) && this.#want(partition).kind === 'absent') {
      return Promise.resolve({ kind: 'absent' })
    }
    if (this.#removalFailure !== undefined) {
      return Promise.resolve({ kind: 'failed', reason: this.#removalFailure })
    }
    const slot = this.#slotOf(partition)
    slot.wake()
    return slot.settled()
  }

  /** Closes every partition; removals that have not begun are left to the next start. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#backoff.reset()
    await Promise.all([...this.#slots.values()].map((slot) => slot.stop()))
    await this.#removal
    this.#backoff.reset()
  }

  #slotOf(partition: number): PartitionSlot {
    let slot = this.#slots.get(partition)
    if (slot === undefined) {
      slot = new PartitionSlot(
        {
          want: () => this.#want(partition),
          carryOut: (step, wanted) => this.#carryOut(step, wanted),
          superseded: (running) => this.#context.host.supersede(running),
          failed: (failure) => this.#failed(partition, failure),
          recovered: () => {
            const stream = this.#name
            this.#context.report({ kind: 'partition-recovered', stream, partition })
          },
          rested: () => this.#rested(partition),
        },
        this.#context.clock,
      )
      this.#slots.set(partition, slot)
    }
    return slot
  }

  #want(id: number): Want {
    const stream = this.#context.stream(this.#name)
    const partition = stream?.partitions[id]
    if (stream === undefined || partition === undefined) return { kind: 'absent' }
    const { serverId, directories } = this.#context
    if (partition.paused || !partition.replicas.includes(serverId)) return { kind: 'absent' }
    if (this.#context.hasGivenUp() && partition.replicas.length > 1) return { kind: 'absent' }
    if (this.#removals.length > 0) return { kind: 'later' }
    const directory = directories.partitionPath(this.#name, id)
    return {
      kind: 'running',
      wanted: { stream, partition, directory, role: this.#role(partition) },
    }
  }

  #role(partition: PartitionState): WantedPartition['role'] {
    return partition.leader === this.#context.serverId ? 'leader' : 'follower'
  }

  #carryOut(step: SlotStep, wanted: WantedPartition): Promise<void> {
    const { host, limit } = this.#context
    return limit.run(async () => {
      if (step === 'close') return host.close(wanted)
      if (step === 'update') return host.update(wanted)
      await this.#claimFor(wanted.stream)
      return host.open(wanted)
    })
  }

  /** One claim for all partitions of an incarnation; a failed one is made again. */
  async #claimFor(stream: StreamState): Promise<void> {
    if (this.#claim?.incarnation !== stream.incarnation) {
      const { incarnation } = stream
      this.#claim = { incarnation, done: this.#context.directories.claim(stream) }
    }
    const claim = this.#claim
    try {
      await claim.done
    } catch (error) {
      if (this.#claim === claim) this.#claim = undefined
      throw error
    }
  }

  #failed(partition: number, failure: SlotFailure): void {
    const stream = this.#name
    this.#context.report({ kind: 'partition-failed', stream, partition, ...failure })
  }

  #rested(partition: number): void {
    const slot = this.#slots.get(partition)
    if (slot?.idle === true && this.#want(partition).kind === 'absent') {
      this.#slots.delete(partition)
    }
    this.#removeNext()
    if (this.idle) this.#context.idle(this.#name, this)
  }

  /** Removes the oldest deleted incarnation once nothing of it is open. */
  #removeNext(): void {
    const [next] = this.#removals
    if (next === undefined || this.#removal !== undefined) return
    if (this.#stopped || this.#backoff.pausing) return
    const held = [...this.#slots.values()].some((slot) => slot.holds(next.incarnation))
    if (!held) this.#removal = this.#remove(next)
  }

  /** Never rejects: a failed removal is tried again after a pause. */
  async #remove(stream: StreamIdentity): Promise<void> {
    const { directories, limit, report } = this.#context
    try {
      const found = await limit.run(() => directories.remove(stream))
      this.#removals.splice(this.#removals.indexOf(stream), 1)
      this.#removalFailure = undefined
      this.#backoff.reset()
      report({ kind: 'stream-removed', stream: stream.name, found })
    } catch (error) {
      this.#removalFailure = error instanceof Error ? error.message : String(error)
      for (const slot of this.#slots.values()) slot.blocked(this.#removalFailure)
      const attempt = this.#backoff.failures + 1
      const pauseMs = this.#backoff.failed(() => this.#removeNext())
      report({ kind: 'removal-failed', stream: stream.name, attempt, pauseMs, error })
    }
    this.#removal = undefined
    if (this.#removalFailure !== undefined || this.#stopped) return
    this.wake()
    if (this.idle) this.#context.idle(this.#name, this)
  }
}
