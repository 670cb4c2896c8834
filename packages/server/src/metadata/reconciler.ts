import type { MetadataView, Outcome, StreamIdentity } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'
import { ConcurrencyLimit } from './concurrency-limit.ts'
import type { PartitionHost, WantedPartition } from './partition-host.ts'
import type { Settlement } from './partition-slot.ts'
import type { ReconcilerReport } from './reconciler-report.ts'
import { StreamWork, type StreamDataDirectories, type WorkContext } from './stream-work.ts'

/**
 * Calls to the host and the directories that run at a time. Enough to keep a disk busy when a
 * server with thousands of partitions starts, few enough to leave it descriptors and memory.
 */
const MAX_CONCURRENT_STEPS = 128

export interface ReconcilerOptions {
  readonly serverId: string
  readonly state: MetadataView
  readonly host: PartitionHost
  readonly directories: StreamDataDirectories
  readonly clock: Clock
  readonly report: (report: ReconcilerReport) => void
}

type Applied = Extract<Outcome, { kind: 'applied' }>

/** A partition that does not run although it should. */
export interface PartitionProblem {
  readonly stream: string
  readonly partition: number
  readonly reason: string
}

/**
 * Makes what runs on this server equal to what the metadata wants: level-triggered, each partition
 * by itself, off the path of applying, so that neither a slow disk nor a bad partition holds up
 * the metadata or another partition [D-26]. There is no recovery mode: after replay the whole
 * state is compared once [D-05]. A replica that is not in the state is not here [D-13]; a paused
 * one is closed.
 */
export class Reconciler {
  readonly #context: WorkContext
  readonly #state: MetadataView
  readonly #works = new Map<string, StreamWork>()
  /** What was deleted after replay and before the start; undefined afterwards. */
  #early: StreamIdentity[] | undefined = []
  #stopped = false
  #gaveUp = false

  constructor(options: ReconcilerOptions) {
    const { state, serverId, host, directories, clock, report } = options
    this.#state = state
    const stream = (name: string) => state.streams.get(name)
    const limit = new ConcurrencyLimit(MAX_CONCURRENT_STEPS)
    const idle = (name: string, work: StreamWork) => {
      // While the stream is there its work keeps the claim of the directory.
      if (this.#works.get(name) === work && !state.streams.has(name)) this.#works.delete(name)
    }
    const hasGivenUp = (): boolean => this.#gaveUp
    const shared = { serverId, stream, host, directories, clock, limit }
    this.#context = { ...shared, report, hasGivenUp, idle }
  }

  /**
   * Begins, after replay. `deleted` are the streams that the log deleted: a crash may have left
   * their data. Resolves when every partition has been tried once, whatever came of it.
   */
  async start(deleted: readonly StreamIdentity[]): Promise<void> {
    try {
      await this.#context.directories.tidy(this.#state.streams, deleted)
    } catch (error) {
      // Only tidying: what is wanted is opened, or fails, on its own.
      this.#context.report({ kind: 'tidy-failed', error })
    }
    if (this.#stopped) return
    const early = this.#early ?? []
    this.#early = undefined
    // Before anything is opened: the state may hold a later incarnation of the same name already.
    for (const stream of early) this.#workOf(stream.name).deleted(stream)
    const streams = [...this.#state.streams.values()]
    for (const { name } of streams) this.#workOf(name).wake()
    await Promise.all(
      streams.flatMap(({ name, partitions }) => partitions.map(({ id }) => this.settled(name, id))),
    )
  }

  /** An operation has been applied. Returns at once. */
  applied(outcome: Applied): void {
    if (this.#stopped) return
    if (this.#early !== undefined) {
      this.#early.push(...(outcome.deleted ?? []))
      return
    }
    for (const stream of outcome.deleted ?? []) this.#workOf(stream.name).deleted(stream)
    for (const name of outcome.streams) this.#workOf(name).wake(outcome.partitions)
  }

  /**
   * The whole state may be another one, as after a snapshot of the metadata leader was restored:
   * every partition is compared again. What is no longer in the state is closed and its data left
   * where it is; only a committed deletion removes any [M9].
   */
  compareAll(): void {
    if (this.#stopped || this.#early !== undefined) return
    for (const [name, work] of this.#works) {
      work.wake()
      if (work.idle) this.#context.idle(name, work)
    }
    for (const name of this.#state.streams.keys()) this.#workOf(name).wake()
  }

  /**
   * Resolves when the partition runs as the metadata wants it, is known not to be wanted here, or
   * has failed. A CreateStream answers after this, so that the stream it made has leaders
   * [LB clients 2.0.13].
   */
  settled(stream: string, partition: number): Promise<Settlement> {
    const known = this.#works.has(stream) || this.#state.streams.has(stream)
    return known ? this.#workOf(stream).settled(partition) : Promise.resolve({ kind: 'absent' })
  }

  /**
   * The host found that a running partition cannot go on: it is closed, and opened again after a
   * pause that grows with each failure [D7].
   */
  fenced(stream: string, partition: number, reason: string): void {
    this.#works.get(stream)?.restart(partition, reason)
  }

  /**
   * This server hears of no change any more, so it must hold no office that others could take over:
   * partitions with other replicas are given up at once and not opened again. Returns at once.
   */
  giveUpShared(): void {
    this.#gaveUp = true
    for (const work of this.#works.values()) work.giveUpShared()
  }

  /** The partitions running now. */
  running(): readonly WantedPartition[] {
    return [...this.#works.values()].flatMap((work) => [...work.running()])
  }

  /** The partitions whose last attempt failed, for `/readyz` and the like. */
  problems(): readonly PartitionProblem[] {
    return [...this.#works].flatMap(([stream, work]) =>
      [...work.failures()].map((failure) => ({ stream, ...failure })),
    )
  }

  /** Closes every partition and rests. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#works.values()].map((work) => work.stop()))
  }

  #workOf(name: string): StreamWork {
    let work = this.#works.get(name)
    if (work === undefined) {
      work = new StreamWork(name, this.#context)
      this.#works.set(name, work)
    }
    return work
  }
}
