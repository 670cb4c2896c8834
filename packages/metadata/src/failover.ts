import type { Operation, PartitionRef } from './operation.ts'
import { findPartition } from './operations/rules.ts'
import { rejected, type Rejection } from './rejection.ts'
import type { LeaderReport, LogTail } from './requests.ts'
import type { MetadataView, PartitionState, StreamState } from './state.ts'
import { UnfitReplicas, type Declaration } from './unfit-replicas.ts'
import type { LogIndex, ServerId } from './units.ts'

export interface FailoverOptions {
  /** Milliseconds after which a report that did not suffice is forgotten [LB control plane 4.6]. */
  readonly timeoutMs: number
  /** Whether the metadata leader has heard of the server lately. */
  readonly alive: (server: ServerId) => boolean
}

export type FailoverDecision =
  /**
   * Propose this. The leader that is replaced stays in the ISR: that is for its successor to change
   * once it leads, since it may turn out that it cannot [R8].
   */
  | { readonly kind: 'elect'; readonly operation: Operation<'change-leader'> }
  /** Propose this: a replica leaves the ISR of its own will. */
  | { readonly kind: 'shrink'; readonly operation: Operation<'shrink-isr'> }
  /** Heard; more witnesses are needed. */
  | { readonly kind: 'counted' }
  | Rejection

/** Who has reported one leadership, and until when that counts (monotonic milliseconds). */
interface Tracker {
  readonly leaderEpoch: LogIndex
  readonly witnesses: Set<ServerId>
  expiresMs: number
}

/**
 * Decides on the metadata leader when a partition gets another leader. Only members of the ISR are
 * witnesses, each counts once for one leadership, and a leadership that has ended takes its
 * witnesses along: in Go Liftbridge they stay, anybody counts, and the next report of anyone
 * deposes the new leader [D-09, G21].
 */
export class Failover {
  readonly #options: FailoverOptions
  readonly #trackers = new Map<string, Tracker>()
  readonly #unfit = new UnfitReplicas()
  /** When trackers that have expired were last looked for. */
  #sweptMs = 0

  constructor(options: FailoverOptions) {
    this.#options = options
  }

  /** `nowMs` is monotonic. */
  report(state: MetadataView, report: LeaderReport, nowMs: number): FailoverDecision {
    const found = findPartition(state, report)
    if (found.kind === 'rejected') {
      return rejected('FAILED_PRECONDITION', `No such partition ${nameOf(report)}`)
    }
    const { partition } = found
    const { leader, leaderEpoch } = partition
    if (leader !== report.leader || leaderEpoch !== report.leaderEpoch) {
      return rejected(
        'FAILED_PRECONDITION',
        `Leader generation mismatch, current leader: ${leader} epoch: ${leaderEpoch}, ` +
          `got leader: ${report.leader} epoch: ${report.leaderEpoch}`,
      )
    }
    if (report.reason === 'silent') return this.#witness(state, found, report, nowMs)
    if (report.replica !== leader) {
      return report.reason === 'leaving' ? this.#leave(found, report) : notTheLeader(report)
    }
    // Its log is complete: it may go on, under an epoch of its own.
    if (report.reason === 'restarted') {
      this.#unfit.forget(keyOf(found.stream, report), leader)
      return elected(report, partition, leader)
    }
    if (report.reason === 'leaving') return this.#handOver(state, report, partition)
    return this.#passOn(state, report, found, nowMs)
  }

  /**
   * A leader has taken the replica into the ISR, so it holds what was committed: what it told of
   * itself before is over. Otherwise the last of a few leaders to lose power within a minute would
   * lead with what it has left, past members that have all of it.
   */
  admitted(state: MetadataView, ref: PartitionRef & { readonly replica: ServerId }): void {
    const found = findPartition(state, ref)
    if (found.kind !== 'rejected') this.#unfit.forget(keyOf(found.stream, ref), ref.replica)
  }

  /** Forgets everything: this server does not decide any more. */
  clear(): void {
    this.#trackers.clear()
    this.#unfit.clear()
  }

  /**
   * Takes the reporter out of the ISR, since nothing could be committed until its lag had been
   * waited for. Not below the least size: nothing could be committed then either, and one replica
   * fewer could be elected [KIP-966].
   */
  #leave({ stream, partition }: FoundPartition, report: LeaderReport): FailoverDecision {
    const { leader, leaderEpoch, epoch: partitionEpoch, isr } = partition
    const { replica } = report
    if (replica === leader || !isr.includes(replica)) return notTheLeader(report)
    if (isr.length <= (stream.config.minIsr ?? 1)) {
      return rejected('FAILED_PRECONDITION', `The ISR would become too small ${nameOf(report)}`)
    }
    const ref = { stream: report.stream, partition: report.partition }
    const change = { ...ref, replica, leader, leaderEpoch, partitionEpoch }
    return { kind: 'shrink', operation: { kind: 'shrink-isr', ...change } }
  }

  #witness(
    state: MetadataView,
    { stream, partition }: FoundPartition,
    report: LeaderReport,
    nowMs: number,
  ): FailoverDecision {
    const { replica } = report
    if (replica === partition.leader || !partition.isr.includes(replica)) {
      return rejected('FAILED_PRECONDITION', `Not a witness: ${replica} ${nameOf(report)}`)
    }
    const key = nameOf(report)
    const tracker = this.#trackerOf(key, partition.leaderEpoch, nowMs)
    tracker.witnesses.add(replica)
    // Of three replicas two agree, of two the only other one; a witness that is dead cannot speak.
    const { alive } = this.#options
    const others = partition.isr.filter((id) => id !== partition.leader)
    const speaking = others.filter((id) => tracker.witnesses.has(id) || alive(id)).length
    if (tracker.witnesses.size <= Math.floor(speaking / 2)) {
      tracker.expiresMs = nowMs + this.#options.timeoutMs
      return { kind: 'counted' }
    }
    this.#trackers.delete(key)
    // A leader that cannot lead is silent, too; those that told the same a moment ago are no better.
    const unfit = this.#unfit.lately(keyOf(stream, report), nowMs)
    const decision = this.#elect(state, report, partition, (id) => !unfit.has(id))
    const heir = decision.kind === 'elect' ? decision.operation.leader : ''
    return unfit.has(heir) ? noCandidates() : decision
  }

  #trackerOf(key: string, leaderEpoch: LogIndex, nowMs: number): Tracker {
    this.#sweep(nowMs)
    const known = this.#trackers.get(key)
    if (known?.leaderEpoch === leaderEpoch && known.expiresMs > nowMs) return known
    const tracker = { leaderEpoch, witnesses: new Set<ServerId>(), expiresMs: nowMs }
    this.#trackers.set(key, tracker)
    return tracker
  }

  /** Once a timeout: a server that led thousands of partitions is reported thousands of times. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < this.#options.timeoutMs) return
    this.#sweptMs = nowMs
    for (const [key, { expiresMs }] of this.#trackers) {
      if (expiresMs <= nowMs) this.#trackers.delete(key)
    }
    this.#unfit.sweep(nowMs)
  }

  /** A leader that still works is better than one that does not. */
  #handOver(
    state: MetadataView,
    report: LeaderReport,
    partition: PartitionState,
  ): FailoverDecision {
    const decision = this.#elect(state, report, partition)
    const heir = decision.kind === 'elect' ? decision.operation.leader : undefined
    return heir !== undefined && this.#options.alive(heir) ? decision : noCandidates()
  }

  /**
   * The leader cannot lead with what it has. Every living member of the ISR is asked before one is
   * asked again: the one that can lead may be the busiest. When all of them have declared
   * themselves, those that are away are waited for: any of them may be complete.
   *
   * The exception is a log that lacks nothing but a proof, since nothing is ever synced
   * (`unsynced`): when every member, also those that were away, has declared itself, one of these
   * leads with what it has: the one that has most, since no other could follow it without cutting
   * off what it had. One that is away by now is waited for. The leader is elected to succeed
   * itself, which tells it so [L1].
   */
  #passOn(
    state: MetadataView,
    report: LeaderReport,
    found: FoundPartition,
    nowMs: number,
  ): FailoverDecision {
    this.#sweep(nowMs)
    const { partition } = found
    const { leader, isr } = partition
    const key = keyOf(found.stream, report)
    const declared = this.#unfit.declare(key, leader, declarationOf(report), nowMs)
    const { alive } = this.#options
    if (isr.some((id) => id !== leader && alive(id) && !declared.has(id))) {
      return this.#elect(state, report, partition, (id) => !declared.has(id))
    }
    if (!isr.every((id) => declared.has(id))) return noCandidates()
    const resort = lastResort(partition, declared)
    if (resort === leader) {
      // From here on the log is what this one has: who copies it lacks nothing.
      this.#unfit.forgetAll(key)
      return elected(report, partition, leader)
    }
    if (resort === undefined || !alive(resort)) return noCandidates()
    return elected(report, partition, resort)
  }

  /** Never unclean: who is not in the ISR may lack what was acknowledged [LB 4.6, R5]. */
  #elect(
    state: MetadataView,
    ref: PartitionRef,
    partition: PartitionState,
    isFit: (id: ServerId) => boolean = () => true,
  ): FailoverDecision {
    let best: (Candidate & { readonly id: ServerId }) | undefined
    for (const id of partition.isr) {
      if (id === partition.leader) continue
      const { leaders } = state.loadOf(id)
      const candidate = { id, alive: this.#options.alive(id), fit: isFit(id), leaders }
      if (best === undefined || isBetter(candidate, best)) best = candidate
    }
    if (best === undefined) return noCandidates()
    return elected(ref, partition, best.id)
  }
}

const NOTHING: LogTail = { epoch: 0, end: 0 }

const declarationOf = ({ reason, tail = NOTHING }: LeaderReport): Declaration => ({ reason, tail })

/** The member with most left of those that lack only a proof; of equals the leader, to be short. */
const lastResort = (
  { leader, isr }: PartitionState,
  declared: ReadonlyMap<ServerId, Declaration>,
): ServerId | undefined => {
  let best: { readonly id: ServerId; readonly tail: LogTail } | undefined
  for (const id of [leader, ...isr]) {
    const { reason, tail } = declared.get(id) ?? {}
    if (reason !== 'unsynced' || tail === undefined) continue
    if (best === undefined || isFurther(tail, best.tail)) best = { id, tail }
  }
  return best?.id
}

const isFurther = (one: LogTail, other: LogTail): boolean =>
  one.epoch === other.epoch ? one.end > other.end : one.epoch > other.epoch

type FoundPartition = { readonly stream: StreamState; readonly partition: PartitionState }

type Candidate = { readonly alive: boolean; readonly fit: boolean; readonly leaders: number }

const isBetter = (one: Candidate, other: Candidate): boolean => {
  if (one.alive !== other.alive) return one.alive
  return one.fit === other.fit ? one.leaders < other.leaders : one.fit
}

const elected = (
  { stream, partition: id }: PartitionRef,
  partition: PartitionState,
  leader: ServerId,
): FailoverDecision => ({
  kind: 'elect',
  operation: {
    kind: 'change-leader',
    stream,
    partition: id,
    leader,
    partitionEpoch: partition.epoch,
  },
})

const noCandidates = (): Rejection => rejected('FAILED_PRECONDITION', 'No ISR candidates')

const notTheLeader = (report: LeaderReport): Rejection =>
  rejected('FAILED_PRECONDITION', `${report.replica} does not lead ${nameOf(report)}`)

/** Of one incarnation of a stream: one of the same name knows nothing of its predecessor. */
const keyOf = (stream: StreamState, ref: PartitionRef): string =>
  `${stream.incarnation} ${nameOf(ref)}`

const nameOf = (ref: PartitionRef): string => `[stream=${ref.stream}, partition=${ref.partition}]`
