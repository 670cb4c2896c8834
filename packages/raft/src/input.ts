import type { MembershipChange } from './configuration.ts'
import type { Request, Response, SnapshotPosition } from './messages.ts'
import type { Moment, RequestId, ServerId, TicketId } from './units.ts'

/** One thing that happened, and when. `now` never goes back from one input to the next. */
export type Input = { readonly now: Moment } & InputEvent

export type InputEvent =
  /** Time passed. Owed at the latest when the last output's `deadline` is reached. */
  | { readonly kind: 'tick' }
  /**
   * A peer asks. `id` is the driver's: unique among the requests not yet answered. `from` is the
   * sender's id of the header, or its address when there is none. An InstallSnapshot is handed in after
   * all its bytes are stored aside and checked. Each request is answered by one `Outgoing` of kind
   * 'response' or 'refusal' with that id, in this or a later output.
   */
  | {
      readonly kind: 'request'
      readonly from: ServerId
      readonly id: RequestId
      readonly request: Request
    }
  /** A peer answered the core's own request `id`. Once per request, or: */
  | {
      readonly kind: 'response'
      readonly from: ServerId
      readonly id: RequestId
      readonly response: Response
    }
  /**
   * The request `id` has no answer and will have none: unreachable, timed out, closed, or `text`
   * came back as an error. Every request ends in a response or in this, else its place in the
   * peer's pipeline stays taken.
   */
  | {
      readonly kind: 'request-failed'
      readonly from: ServerId
      readonly id: RequestId
      readonly text: string
    }
  /** The persist of this sequence, and all before it, are durable. */
  | { readonly kind: 'persisted'; readonly sequence: number }
  /**
   * Bring commands into the log. Many at once cost one persist and one message per peer. The core
   * keeps `data`, as it keeps the entries of a request: they are memory of their own, not to be
   * written again, and no view that keeps a larger buffer alive.
   */
  | { readonly kind: 'propose'; readonly proposals: readonly Proposal[] }
  /** Append a barrier entry: answered when everything before it is applied, by this leader. */
  | { readonly kind: 'barrier'; readonly ticket: TicketId }
  /**
   * Ask for a commit index that includes every entry committed anywhere before this input, without
   * writing to the log: one round of heartbeats to a quorum.
   */
  | { readonly kind: 'read'; readonly ticket: TicketId }
  | {
      readonly kind: 'change-membership'
      readonly ticket: TicketId
      readonly change: MembershipChange
    }
  /** Hand leadership to `to`, or to the voter that is furthest. */
  | {
      readonly kind: 'transfer-leadership'
      readonly ticket: TicketId
      readonly to?: ServerId
    }
  /** Make a snapshot due now, whatever the threshold; nothing happens when nothing new is applied. */
  | { readonly kind: 'request-snapshot' }
  /** The snapshot that an output's `takeSnapshot` asked for is durable. */
  | { readonly kind: 'snapshot-taken'; readonly snapshot: SnapshotPosition }
  /** It could not be written; it becomes due again later. */
  | { readonly kind: 'snapshot-failed' }
  /** What an output's `install` asked for is done: durable in its place and restored. */
  | { readonly kind: 'snapshot-installed' }
  /** It could not be done; state machine and store are as before. */
  | { readonly kind: 'install-failed' }
  /** Fail what is pending, answer what was asked; from here on everything is refused. */
  | { readonly kind: 'stop' }

export interface Proposal {
  readonly ticket: TicketId
  readonly data: Uint8Array
  readonly appendedAtNs?: bigint
}
