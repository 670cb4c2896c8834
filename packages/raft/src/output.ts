import type { Entry } from './entry.ts'
import type { Failure } from './failure.ts'
import type { Request, Response, SnapshotPosition } from './messages.ts'
import type { HardState } from './stored-state.ts'
import type { Index, Moment, RequestId, ServerId, Term, TicketId } from './units.ts'

/**
 * What one step owes. The order of the fields is the order owed:
 *
 * 1. `persist` is handed to the store, behind all earlier ones. Its end is fed back as 'persisted'.
 * 2. `send` leaves at once; nothing here waits for the disk. What depends on a persist (a vote, a
 *    success, a term) the core itself holds back until it is told 'persisted', and a leader's own
 *    entries travel while its disk is still writing [Raft thesis 10.2.1].
 * 3. `install` replaces state machine and snapshot store by what a peer sent.
 * 4. `apply` goes to the state machine, in order.
 * 5. `takeSnapshot`: the state as it is after `apply` is to be captured before the next step.
 * 6. `answers` go to those who asked, so whoever has one may rely on what was applied.
 * 7. `role` is told to whoever follows leadership.
 */
export interface Output {
  readonly persist: Persist | undefined
  readonly send: readonly Outgoing[]
  readonly install: SnapshotInstall | undefined
  readonly apply: readonly Entry[]
  readonly takeSnapshot: SnapshotPosition | undefined
  readonly answers: readonly Answer[]
  readonly role: Role | undefined
  /** When the next 'tick' is owed, if nothing else happens before. Infinity: never. */
  readonly deadline: Moment
}

/**
 * One change of the stored state. The fields are carried out in this order; a crash may leave any
 * prefix of it behind, and of `append` any prefix, but nothing of a later persist without all of
 * this one. Several may be merged into one write and one sync; 'persisted' then names the last.
 */
export interface Persist {
  /** 1, 2, 3, … over the life of this core. */
  readonly sequence: number
  /** Replace term and vote. */
  readonly hardState: HardState | undefined
  /** Drop the whole log: a snapshot takes its place, and the next entry is the one after it. */
  readonly resetTo: { readonly index: Index; readonly term: Term } | undefined
  /** Drop this entry and all after it. */
  readonly truncateFrom: Index | undefined
  /** Consecutive entries, directly behind what is left. */
  readonly append: readonly Entry[]
  /** Entries up to this one are not needed any more. May be carried out late or never. */
  readonly compactThrough: Index | undefined
}

export type Outgoing =
  /** Ask a peer. `id` is the core's, unique over its life: 1, 2, 3, … */
  | {
      readonly kind: 'request'
      readonly to: ServerId
      readonly id: RequestId
      readonly request: Request
    }
  /** Answer the peer's request `id`. */
  | {
      readonly kind: 'response'
      readonly to: ServerId
      readonly id: RequestId
      readonly response: Response
    }
  /** Answer it with an error text and no body; the connection stays usable. */
  | {
      readonly kind: 'refusal'
      readonly to: ServerId
      readonly id: RequestId
      readonly text: string
    }

/**
 * The snapshot that arrived as request `id` is to become the newest one: renamed into place, synced,
 * and restored into the state machine; then 'snapshot-installed', or 'install-failed'. Any other
 * InstallSnapshot that is answered without having been named here is to be thrown away.
 */
export interface SnapshotInstall {
  readonly id: RequestId
  readonly snapshot: SnapshotPosition
}

export type Answer =
  /** The entry is committed, and applied by the `apply` of this output at the latest. */
  | { readonly kind: 'committed'; readonly ticket: TicketId; readonly index: Index }
  /** Everything committed before the question is at or before `index`, and applied. */
  | { readonly kind: 'read'; readonly ticket: TicketId; readonly index: Index }
  /** Another server has taken over: a later term began. */
  | { readonly kind: 'transferred'; readonly ticket: TicketId }
  | {
      readonly kind: 'failed'
      readonly ticket: TicketId
      readonly failure: Failure
      /** FAILURE_TEXTS[failure], or what the peer said. */
      readonly text: string
      /** The entry is in some logs and may still be committed by the next leader. */
      readonly undecided: boolean
    }

/** Told whenever kind, term or leader changes. */
export type Role =
  | { readonly kind: 'follower'; readonly term: Term; readonly leader: ServerId | undefined }
  | { readonly kind: 'candidate'; readonly term: Term }
  | { readonly kind: 'leader'; readonly term: Term }
