import type { Operation, PartitionRef } from './operation.ts'
import { findPartition } from './operations/rules.ts'
import { rejected, type Rejection } from './rejection.ts'
import type { LeaderReport } from './requests.ts'
import type { MetadataView, PartitionState } from './state.ts'
import type { LogIndex, ServerId } from './units.ts'

export interface FailoverOptions {
  /** Milliseconds after which a report that did not suffice is forgotten [LB control plane 4.6]. */
  readonly timeoutMs: number
  /** Whether the metadata leader has heard of the server lately. */
  readonly alive: (server: ServerId) => boolean
}

export type FailoverDecision =
  /** Propose this. */
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

/** Who could not lead, one after the other, and until when that counts (monotonic milliseconds). */
interface Unfit {
  readonly servers: Set<ServerId>
  expiresMs: number
}

/** Longer than a replica takes to open its log and find that it cannot lead. */
const UNFIT_MS = 60_000

/**
 * Decides on the metadata leader when a partition gets another leader. Only members of the ISR are
 * witnesses, each counts once for one leadership, and a leadership that has ended takes its
 * witnesses along: in Go Liftbridge they stay, anybody counts, and the next report of anyone
 * deposes the new leader [D-09, G21].
 */
export class Failover {
  readonly #options: FailoverOptions
  readonly #trackers = new Map<string, Tracker>()
  /** By partition: those that have passed the leadership on since somebody led. */
  readonly #unfit = new Map<string, Unfit>()

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
    if (report.reason === 'silent') return this.#witness(state, partition, report, nowMs)
    if (report.replica !== leader) {
      return report.reason === 'leaving' ? this.shrink(state, report) : notTheLeader(report)
    }
    // Its log is complete: it may go on, under an epoch of its own.
    if (report.reason === 'restarted') return elected(report, partition, leader)
    const decision = this.#passOn(state, report, partition, nowMs)
    const heir = decision.kind === 'elect' ? decision.operation.leader : undefined
    // A leader that still works is better than one that does not.
    return heir !== undefined && !this.#options.alive(heir)
      ? rejected('FAILED_PRECONDITION', 'No ISR candidates')
      : decision
  }

  /**
   * Takes the reporter out of the ISR, since nothing could be committed until its lag had been
   * waited for. Not below the least size: nothing could be committed then either, and one replica
   * fewer could be elected [KIP-966].
   */
  shrink(state: MetadataView, report: LeaderReport): FailoverDecision {
    const found = findPartition(state, report)
    if (found.kind === 'rejected') return found
    const { stream, partition } = found
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

  /** Forgets everything: this server does not decide any more. */
  clear(): void {
    this.#trackers.clear()
    this.#unfit.clear()
  }

  #witness(
    state: MetadataView,
    partition: PartitionState,
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
    return this.#elect(state, report, partition)
  }

  #trackerOf(key: string, leaderEpoch: LogIndex, nowMs: number): Tracker {
    for (const [other, { expiresMs }] of this.#trackers) {
      if (expiresMs <= nowMs) this.#trackers.delete(other)
    }
    const known = this.#trackers.get(key)
    if (known?.leaderEpoch === leaderEpoch) return known
    const tracker = { leaderEpoch, witnesses: new Set<ServerId>(), expiresMs: nowMs }
    this.#trackers.set(key, tracker)
    return tracker
  }

  /**
   * Every other member is asked before one is asked again: the one that can lead may be the busiest.
   * Otherwise two that cannot would pass the leadership to each other.
   */
  #passOn(
    state: MetadataView,
    report: LeaderReport,
    partition: PartitionState,
    nowMs: number,
  ): FailoverDecision {
    for (const [other, { expiresMs }] of this.#unfit) {
      if (expiresMs <= nowMs) this.#unfit.delete(other)
    }
    const key = nameOf(report)
    const { servers } = this.#unfit.get(key) ?? { servers: new Set<ServerId>() }
    servers.add(report.replica)
    const { alive } = this.#options
    const isFresh = (id: ServerId): boolean => alive(id) && !servers.has(id)
    if (!partition.isr.some(isFresh)) servers.clear()
    this.#unfit.set(key, { servers, expiresMs: nowMs + UNFIT_MS })
    return this.#elect(state, report, partition, servers)
  }

  /** Never unclean: who is not in the ISR may lack what was acknowledged [LB 4.6, R5]. */
  #elect(
    state: MetadataView,
    ref: PartitionRef,
    partition: PartitionState,
    unfit: ReadonlySet<ServerId> = new Set(),
  ): FailoverDecision {
    let best: (Candidate & { readonly id: ServerId }) | undefined
    for (const id of partition.isr) {
      if (id === partition.leader) continue
      const { leaders } = state.loadOf(id)
      const candidate = { id, alive: this.#options.alive(id), fit: !unfit.has(id), leaders }
      if (best === undefined || isBetter(candidate, best)) best = candidate
    }
    if (best === undefined) return rejected('FAILED_PRECONDITION', 'No ISR candidates')
    return elected(ref, partition, best.id)
  }
}

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

const notTheLeader = (report: LeaderReport): Rejection =>
  rejected('FAILED_PRECONDITION', `${report.replica} does not lead ${nameOf(report)}`)

const nameOf = (ref: PartitionRef): string => `[stream=${ref.stream}, partition=${ref.partition}]`
