import { DiskError, type Disk } from '@liftbridge/log'
import {
  EMPTY_STATE,
  type HardState,
  type Persist,
  type SnapshotPosition,
  type StoredState,
} from '@liftbridge/raft'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../logging/logger.ts'
import { EntryLog } from './entry-log.ts'
import { reasonOf } from './files.ts'
import { readJoinStage, writeJoinStage, type JoinStage } from './joining-mark.ts'
import { readHardState, writeHardState } from './hard-state-file.ts'
import {
  SnapshotStore,
  type LoadedSnapshot,
  type StagedSnapshot,
  type UnusableSnapshot,
} from './snapshot-store.ts'
import { Reserve, RESERVE_BYTES } from './reserve.ts'
import { RaftStoreUnreadable } from './unreadable.ts'

export interface RaftStoreOptions {
  readonly disk: Disk
  /** Absolute path of a directory of its own, `<data.dir>/raft`; its parent is durable. */
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
  /** `raft.snapshot.retain`. */
  readonly snapshotRetain: number
  readonly segmentMaxBytes?: number
  /** Room set aside for a full disk; default RESERVE_BYTES. */
  readonly reserveBytes?: number
}

/** Pause before a write is tried again for which there was no room. */
const RETRY_PAUSE_MS = 500

/** The database of Go Liftbridge, whose format is its own. */
const FOREIGN_LOG = 'raft.db'

/** A change of nothing: it is done when all before it are. */
const NOTHING: Persist = {
  sequence: 0,
  hardState: undefined,
  resetTo: undefined,
  truncateFrom: undefined,
  append: [],
  compactThrough: undefined,
}

interface Waiting {
  readonly persist: Persist
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Everything Raft must not forget, in one directory:
 *
 *     hard-state            term and vote
 *     joining               only while this server is on its way into a cluster
 *     log/<first index>/    the entries, a log of package `log`
 *     snapshots/            see SnapshotStore
 *     reserve               room for a full disk
 *
 * One writer: changes are carried out in the order in which they were asked for, and entries that
 * wait while a sync is under way share the next one. A write that finds no room is tried again
 * until there is some, and nothing behind it is answered meanwhile [T4]. After any other failure
 * what is on disk is unknown: nothing is written or answered any more until the next start [D7].
 */
export class RaftStore {
  readonly #options: RaftStoreOptions
  readonly #log: EntryLog
  readonly #snapshots: SnapshotStore
  readonly #reserve: Reserve
  #waiting: Waiting[] = []
  #writer: Promise<void> | undefined
  /** Entries were written and not synced. */
  #dirty = false
  #failure: Error | undefined
  #stalled: string | undefined
  #closed = false
  #wakeFromPause: (() => void) | undefined

  private constructor(options: RaftStoreOptions, log: EntryLog, snapshots: SnapshotStore) {
    this.#options = options
    this.#log = log
    this.#snapshots = snapshots
    const { reserveBytes: bytes = RESERVE_BYTES } = options
    this.#reserve = new Reserve({ ...options, bytes })
  }

  /**
   * Opens the directory, making it when missing, and reads what is in it. Rejects with
   * RaftStoreUnreadable when it cannot be trusted, and with DiskError; nothing is removed then.
   */
  static async open(options: RaftStoreOptions): Promise<OpenedRaftStore> {
    const { disk, directory, clock, logger } = options
    const paths = await makeDirectories(disk, directory)
    const hardState = await readHardState(disk, directory)
    const snapshots = await SnapshotStore.open({
      disk,
      directory: paths.snapshots,
      clock,
      retain: Math.max(1, options.snapshotRetain),
    })
    const snapshot = await snapshots.loadNewest()
    const log = await EntryLog.open({
      disk,
      directory: paths.log,
      clock,
      segmentMaxBytes: options.segmentMaxBytes,
      onProblem: (problem) => logger.warn(`metadata log: ${problem.kind}`, { ...problem }),
    })
    const entries = await log.readAll()
    for (const { path, reason } of snapshots.unusable) {
      logger.error('a metadata snapshot cannot be used and is left alone', { path, reason })
    }
    const lastTerm = Math.max(entries.at(-1)?.term ?? 0, snapshot?.position.term ?? 0)
    assertConnected(log, snapshot, snapshots.unusable)
    assertRemembered(directory, hardState, lastTerm)
    // Only now is it known that nothing older is needed.
    await log.removeReplaced()
    await log.markAll()
    await snapshots.removeUnfinished()
    const store = new RaftStore(options, log, snapshots)
    await store.#reserve.fill()
    const stored: StoredState = {
      hardState: hardState ?? EMPTY_STATE.hardState,
      snapshot: snapshot?.position,
      entries,
    }
    const joinStage = await readJoinStage(disk, directory)
    return { store, stored, state: snapshot?.state, joinStage }
  }

  /** Why nothing is stored any more; undefined while it is. */
  get failure(): string | undefined {
    return this.#failure?.message
  }

  /** Why writing waits, for the operator; undefined when it does not. */
  get stalled(): string | undefined {
    return this.#stalled
  }

  /** Resolves when this change, and all before it, are durable. Rejects once the store failed. */
  persist(persist: Persist): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ persist, resolve, reject })
      this.#writer ??= this.#write()
    })
  }

  /** Notes durably how far this server is on its way into a cluster. */
  setJoinStage(stage: JoinStage | undefined): Promise<void> {
    return writeJoinStage(this.#options.disk, this.#options.directory, stage)
  }

  /** Writes the state machine's state aside and makes it the newest snapshot. */
  async saveSnapshot(position: SnapshotPosition, state: Uint8Array): Promise<void> {
    const staged = await this.#snapshots.stage(position, state)
    await this.install(staged)
  }

  /** Writes aside what a peer sent. */
  stage(position: SnapshotPosition, state: Uint8Array): Promise<StagedSnapshot> {
    return this.#snapshots.stage(position, state)
  }

  /**
   * Makes a staged snapshot the newest, durably, after all changes asked for before: it must not
   * outlive a crash that forgets its term.
   */
  async install(staged: StagedSnapshot): Promise<void> {
    try {
      await this.persist(NOTHING)
      await this.#snapshots.commit(staged)
    } catch (error) {
      await this.#snapshots.discard(staged)
      throw error
    }
  }

  discard(staged: StagedSnapshot): Promise<void> {
    return this.#snapshots.discard(staged)
  }

  /** The newest snapshot, read and verified again; undefined when there is none. */
  async newestSnapshot(): Promise<LoadedSnapshot | undefined> {
    const before = this.#snapshots.unusable.length
    const loaded = await this.#snapshots.loadNewest()
    for (const { path, reason } of this.#snapshots.unusable.slice(before)) {
      this.#options.logger.error('a metadata snapshot cannot be used', { path, reason })
    }
    return loaded
  }

  /** Finishes what was asked for, unless there is no room for it, and gives the files back. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wakeFromPause?.()
    await this.#writer
    this.#fail(new Error('the Raft store is closed'))
    await this.#log.close()
  }

  /** The one writer; never rejects. */
  async #write(): Promise<void> {
    // What is asked for in the same turn belongs into the same sync.
    await Promise.resolve()
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const batch = [...this.#waiting]
      if (!(await this.#carryOutAll(batch))) break
      this.#waiting.splice(0, batch.length)
      for (const { resolve } of batch) resolve()
      await this.#compact(batch)
      await this.#reserve.fill()
    }
    this.#writer = undefined
  }

  /** All of them with one sync at the end; false when the store has failed. */
  async #carryOutAll(batch: readonly Waiting[]): Promise<boolean> {
    let done = 0
    for (;;) {
      try {
        for (const { persist } of batch.slice(done)) {
          await this.#carryOut(persist)
          done += 1
        }
        await this.#syncLog()
        this.#stalled = undefined
        return true
      } catch (error) {
        if (await this.#mayRetry(error)) continue
        this.#fail(new Error(`the Raft store failed: ${reasonOf(error)}`, { cause: error }))
        return false
      }
    }
  }

  /** Can be repeated as long as nothing behind it was begun. */
  async #carryOut(persist: Persist): Promise<void> {
    const { hardState, resetTo, truncateFrom, append } = persist
    const { disk, directory } = this.#options
    if (hardState !== undefined) {
      // Nothing of a later change may be durable without the entries of an earlier one.
      await this.#syncLog()
      await writeHardState(disk, directory, hardState)
    }
    if (resetTo !== undefined) {
      await this.#syncLog()
      await this.#log.reset(resetTo.index + 1)
    }
    if (truncateFrom !== undefined) {
      await this.#syncLog()
      await this.#log.truncateFrom(truncateFrom)
    }
    if (append.length === 0) return
    this.#dirty = true
    await this.#log.append(append)
  }

  async #syncLog(): Promise<void> {
    if (!this.#dirty) return
    await this.#log.sync()
    this.#dirty = false
  }

  /** Only saves room; what fails now is done after the next snapshot. */
  async #compact(batch: readonly Waiting[]): Promise<void> {
    const through = Math.max(0, ...batch.map(({ persist }) => persist.compactThrough ?? 0))
    if (through === 0) return
    try {
      await this.#log.compactThrough(through)
    } catch (error) {
      this.#options.logger.warn('the metadata log could not be shortened', { error })
    }
  }

  /** Waits a while when the disk is full; false when trying again makes no sense. */
  async #mayRetry(error: unknown): Promise<boolean> {
    if (!(error instanceof DiskError) || this.#log.fenced || this.#closed) return false
    if (error.code !== 'no-space' && error.code !== 'too-many-open-files') return false
    if (await this.#reserve.release()) return true
    this.#stalled = error.message
    this.#options.logger.limited('raft-store', 'error', 'metadata waits for the disk', { error })
    await new Promise<void>((resolve) => {
      this.#wakeFromPause = resolve
      this.#options.clock.after(RETRY_PAUSE_MS, resolve)
    })
    return !this.#closed
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}

export interface OpenedRaftStore {
  readonly store: RaftStore
  readonly stored: StoredState
  /** The snapshot's bytes, to be restored into the state machine. */
  readonly state: Uint8Array | undefined
  /** How far this server has come on its way into a cluster; undefined: it is not on it. */
  readonly joinStage: JoinStage | undefined
}

const makeDirectories = async (
  disk: Disk,
  directory: string,
): Promise<{ readonly log: string; readonly snapshots: string }> => {
  const log = `${directory}/log`
  const snapshots = `${directory}/snapshots`
  await disk.makeDirectory(log)
  await disk.makeDirectory(snapshots)
  const names = (await disk.list(directory)).map(({ name }) => name)
  if (names.includes(FOREIGN_LOG)) {
    const reason = 'it is the Raft database of Go Liftbridge, which this server does not read'
    throw new RaftStoreUnreadable(`${directory}/${FOREIGN_LOG}`, reason)
  }
  await disk.syncDirectory(directory)
  await disk.syncDirectory(directory.slice(0, directory.lastIndexOf('/')) || '/')
  return { log, snapshots }
}

/** A snapshot or entries that are missing in between would be forgotten promises [M6, M9]. */
const assertConnected = (
  log: EntryLog,
  snapshot: LoadedSnapshot | undefined,
  unusable: readonly UnusableSnapshot[],
): void => {
  const covered = snapshot?.position.index ?? 0
  if (log.firstIndex > covered + 1) {
    const [newest] = unusable.filter(({ index }) => index !== undefined).toSorted(newestFirst)
    const missing = `entries ${covered + 1} to ${log.firstIndex - 1} are in no snapshot`
    const cause = newest === undefined ? '' : `, and this snapshot is damaged: ${newest.reason}`
    throw new RaftStoreUnreadable(newest?.path ?? log.path, `${missing}${cause}`)
  }
  for (const { path, reason, index } of unusable) {
    if (index === undefined || index < log.nextIndex || index <= covered) continue
    throw new RaftStoreUnreadable(path, `${reason}, and the log does not reach entry ${index}`)
  }
}

const newestFirst = (a: UnusableSnapshot, b: UnusableSnapshot): number =>
  (b.index ?? 0) - (a.index ?? 0)

/** The term is durable before anything of it is; without it this server might vote twice. */
const assertRemembered = (
  directory: string,
  hardState: HardState | undefined,
  lastTerm: number,
): void => {
  if (hardState === undefined ? lastTerm === 0 : hardState.term >= lastTerm) return
  const known = hardState === undefined ? 'is missing' : `is of term ${hardState.term}`
  throw new RaftStoreUnreadable(
    `${directory}/hard-state`,
    `it ${known}, but there are entries of term ${lastTerm}`,
  )
}
