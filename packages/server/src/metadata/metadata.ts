import {
  applyEntry,
  checkOperation,
  decodeSnapshot,
  encodeOperation,
  encodeSnapshot,
  failureTextOf,
  MetadataState,
  rejected,
  type LogIndex,
  type MetadataView,
  type Operation,
  type OperationKind,
  type Outcome,
  type Rejection,
  type ServerId,
  type StreamIdentity,
} from '@liftbridge/metadata'
import type { ClusterMember, Consensus, MetadataLeadership } from './consensus.ts'

/** What became of a proposal: its effect, or why it was refused, in the client's words. */
export type Proposed = Extract<Outcome, { kind: 'applied' }> | Rejection

export interface MetadataOptions {
  readonly consensus: Consensus<Outcome>
  /** Told of every committed entry that changed nothing, with the reason. */
  readonly onInert?: (index: LogIndex, rejection: Rejection) => void
}

/** Called after each applied operation; must not throw, and must not wait. */
export type AppliedListener = (outcome: Extract<Outcome, { kind: 'applied' }>) => void

interface Waiter {
  readonly index: LogIndex
  readonly resolve: () => void
}

/**
 * The driver of the metadata: operations go through `propose` into the consensus, come back in
 * order, are applied, and listeners hear of them. Reads are synchronous and see what has been
 * applied here.
 */
export class Metadata {
  readonly #state = new MetadataState()
  readonly #consensus: Consensus<Outcome>
  readonly #onInert: MetadataOptions['onInert']
  readonly #listeners: AppliedListener[] = []
  readonly #restoredListeners: (() => void)[] = []
  #waiters: Waiter[] = []
  #deletedInReplay: StreamIdentity[] = []
  #replaying = true
  /** Deletions that were applied before anybody listened; their data may still be there. */
  #unheard: Extract<Outcome, { kind: 'applied' }>[] = []

  constructor(options: MetadataOptions) {
    this.#consensus = options.consensus
    this.#onInert = options.onInert
  }

  get state(): MetadataView {
    return this.#state
  }

  get leadership(): MetadataLeadership {
    return this.#consensus.leadership
  }

  /** Why no change can be made any more, for the operator; undefined while changes can be made. */
  get failure(): string | undefined {
    return this.#consensus.failure
  }

  /** What an operator should know of this server's place in the cluster; undefined: all is well. */
  get notice(): string | undefined {
    return this.#consensus.notice
  }

  /**
   * Applies what is in the log: apply, apply, apply. Nobody is told of single steps; afterwards
   * the state is what the reconciler compares with. Resolves with the streams that the log
   * deleted, whose directories may still be there after a crash.
   */
  async start(): Promise<readonly StreamIdentity[]> {
    await this.#consensus.start({
      apply: (index, entry) => this.#apply(index, entry),
      snapshot: () => encodeSnapshot(this.#state),
      whyUnreadable: (state) => {
        const decoded = decodeSnapshot(state)
        return decoded.kind === 'malformed' ? decoded.reason : undefined
      },
      restore: (index, state) => this.#restore(index, state),
    })
    this.#replaying = false
    const deleted = this.#deletedInReplay
    this.#deletedInReplay = []
    return deleted
  }

  /**
   * Listeners are called in the order of registration. The first one hears of deletions that were
   * applied since `start` before it came, since nothing else tells that their data is to go.
   */
  onApplied(listener: AppliedListener): void {
    this.#listeners.push(listener)
    const unheard = this.#unheard
    this.#unheard = []
    for (const outcome of unheard) listener(outcome)
  }

  /**
   * Called when a snapshot of another server has taken the place of the whole state: what was held
   * before says nothing any more. Not called for what `start` restores.
   */
  onRestored(listener: () => void): void {
    this.#restoredListeners.push(listener)
  }

  /**
   * Puts an operation through. Never rejects: a refusal is a value, with INTERNAL when the
   * operation could not be put into the log. What `check` says before only spares the log; it is
   * asked again when the operation is applied, and that answer counts.
   */
  async propose<Kind extends OperationKind>(operation: Operation<Kind>): Promise<Proposed> {
    const check = checkOperation(this.#state, operation)
    if (check.kind === 'rejected') return check
    try {
      const outcome = await this.#consensus.propose(encodeOperation(operation))
      return outcome.kind === 'applied' ? outcome : outcome.rejection
    } catch (error) {
      // The consensus has counted and kept the failure; the client gets it in its own words.
      const reason = error instanceof Error ? error.message : String(error)
      return rejected('INTERNAL', `${failureTextOf(operation.kind)}: ${reason}`)
    }
  }

  /** Resolves when the entry at `index` has been applied here. */
  whenApplied(index: LogIndex): Promise<void> {
    if (this.#state.appliedIndex >= index) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ index, resolve }))
  }

  /** The servers of the cluster, in the order of its configuration. */
  get members(): readonly ClusterMember[] {
    return this.#consensus.members
  }

  /** Milliseconds since that server was heard of; undefined where it is not known. */
  silenceMs(server: ServerId): number | undefined {
    return this.#consensus.silenceMs(server)
  }

  onLeadership(listener: (leadership: MetadataLeadership) => void): void {
    this.#consensus.onLeadership(listener)
  }

  /** Lets another server lead the metadata, if one can. */
  handOver(): Promise<void> {
    return this.#consensus.handOver()
  }

  /** Resolves when everything committed before the call has been applied here. */
  barrier(): Promise<void> {
    return this.#consensus.barrier()
  }

  close(): Promise<void> {
    return this.#consensus.close()
  }

  #apply(index: LogIndex, entry: Uint8Array): Outcome {
    const outcome = applyEntry(this.#state, entry, index)
    if (outcome.kind === 'inert') {
      this.#onInert?.(index, outcome.rejection)
    } else if (this.#replaying) {
      this.#deletedInReplay.push(...(outcome.deleted ?? []))
    } else if (this.#listeners.length === 0) {
      if ((outcome.deleted?.length ?? 0) > 0) this.#unheard.push(outcome)
    } else {
      for (const listener of this.#listeners) listener(outcome)
    }
    this.#wakeWaiters()
    return outcome
  }

  /** Throws when the bytes are not a snapshot; nothing has changed then. */
  #restore(index: LogIndex, bytes: Uint8Array): void {
    const decoded = decodeSnapshot(bytes)
    if (decoded.kind === 'malformed') throw new Error(decoded.reason)
    // In place: everybody who reads the metadata holds on to this one view of it.
    const state = this.#state
    const { streams, groups, appliedIndex, lastPublishedActivityIndex } = decoded.state
    for (const name of state.streams.keys()) state.removeStream(name)
    for (const id of state.groups.keys()) state.removeGroup(id)
    for (const stream of streams.values()) state.putStream(stream)
    for (const group of groups.values()) state.putGroup(group)
    // Go Liftbridge does not say how far its snapshots go.
    state.appliedIndex = appliedIndex === 0 && streams.size + groups.size > 0 ? index : appliedIndex
    state.lastPublishedActivityIndex = lastPublishedActivityIndex
    this.#wakeWaiters()
    if (this.#replaying) return
    for (const listener of this.#restoredListeners) listener()
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return
    const { appliedIndex } = this.#state
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ index }) => index > appliedIndex)
    for (const { index, resolve } of waiters) if (index <= appliedIndex) resolve()
  }
}
