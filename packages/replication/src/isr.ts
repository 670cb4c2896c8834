/**
 * The in-sync replicas as their leader must see them. A proposal to change them is a
 * compare-and-set on the leader epoch and the partition epoch [R7]; until its outcome is known from
 * the metadata, the leader reckons with both outcomes:
 *
 * | state            | counted for the high watermark        | counted for min ISR |
 * |------------------|---------------------------------------|---------------------|
 * | `committed`      | the ISR                               | the ISR             |
 * | `pending-shrink` | the ISR: the replica still belongs    | the ISR             |
 * | `pending-expand` | the ISR and the replica that may join | the ISR             |
 *
 *     committed --propose--> pending-* --metadata with a newer partition epoch--> committed
 *
 * There is no other way out of a pending state: what looks like a refusal or a timeout may be
 * followed by the change being applied, so the same proposal is repeated until the partition epoch
 * moved on. At most one proposal is under way.
 */
import type { IsrProposal } from './leader-types.ts'
import type { Incarnation, LeaderEpoch, PartitionEpoch, ServerId } from './units.ts'

export type Isr = {
  readonly kind: 'committed' | 'pending-shrink' | 'pending-expand'
  readonly members: readonly ServerId[]
  readonly partitionEpoch: PartitionEpoch
  /** Undefined exactly when committed. */
  readonly pending: PendingChange | undefined
}

export type PendingChange = {
  readonly replica: ServerId
  readonly incarnation: Incarnation | undefined
  /** When it was first proposed, and when it is proposed again. */
  readonly sinceMs: number
  readonly retryAtMs: number
}

export function committedIsr(members: readonly ServerId[], partitionEpoch: PartitionEpoch): Isr {
  return { kind: 'committed', members, partitionEpoch, pending: undefined }
}

/** True when `replica` may be in the ISR now, as far as the leader can know. */
export function isCounted(isr: Isr, replica: ServerId): boolean {
  if (isr.members.includes(replica)) return true
  return isr.kind === 'pending-expand' && isr.pending?.replica === replica
}

export function withPending(
  isr: Isr,
  kind: 'pending-shrink' | 'pending-expand',
  pending: PendingChange,
): Isr {
  return { ...isr, kind, pending }
}

/** The proposal that a pending ISR waits for. */
export function proposalOf(isr: Isr, leaderEpoch: LeaderEpoch): IsrProposal | undefined {
  if (isr.pending === undefined) return undefined
  return {
    kind: isr.kind === 'pending-shrink' ? 'shrink' : 'expand',
    replica: isr.pending.replica,
    incarnation: isr.pending.incarnation,
    leaderEpoch,
    partitionEpoch: isr.partitionEpoch,
  }
}
