/**
 * The metadata of one partition: leaders out of the ISR, and changes of the ISR by compare-and-set
 * on both epochs where they are applied. Every change is a step of a history that servers learn
 * of one after the other, each at its own pace.
 */
import assert from 'node:assert/strict'
import type { IsrProposal } from '../leader-types.ts'
import type { LeaderEpoch, ServerId } from '../units.ts'

export type PartitionMetadata = {
  readonly leader: ServerId
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: number
  readonly isr: readonly ServerId[]
}

export class ModelController {
  readonly replicas: readonly ServerId[]
  readonly history: PartitionMetadata[]
  readonly #witnesses = new Set<ServerId>()

  constructor(replicas: readonly ServerId[]) {
    this.replicas = replicas
    const leader = replicas[0] ?? ''
    this.history = [{ leader, leaderEpoch: 1, partitionEpoch: 1, isr: replicas }]
  }

  get current(): PartitionMetadata {
    const current = this.history.at(-1)
    assert.ok(current !== undefined)
    return current
  }

  /** True when it was applied. */
  propose(proposal: IsrProposal): boolean {
    const { leaderEpoch, partitionEpoch, isr, leader } = this.current
    if (proposal.leaderEpoch !== leaderEpoch || proposal.partitionEpoch !== partitionEpoch) {
      return false
    }
    if (proposal.replica === leader) return false
    const rest = isr.filter((id) => id !== proposal.replica)
    this.#change({ isr: proposal.kind === 'shrink' ? rest : [...rest, proposal.replica] })
    return true
  }

  /** A replica says that the leader is silent; enough of them have it replaced. */
  report(witness: ServerId, leaderEpoch: LeaderEpoch, pick: Pick): void {
    const { current } = this
    if (leaderEpoch !== current.leaderEpoch || !current.isr.includes(witness)) return
    this.#witnesses.add(witness)
    if (this.#witnesses.size <= Math.floor((current.isr.length - 1) / 2)) return
    this.replaceLeader(current.leader, leaderEpoch, pick)
  }

  /** Another member of the ISR leads, if there is one. */
  replaceLeader(leader: ServerId, leaderEpoch: LeaderEpoch, pick: Pick): void {
    const { current } = this
    if (current.leader !== leader || current.leaderEpoch !== leaderEpoch) return
    const next = pick(current.isr.filter((id) => id !== leader))
    if (next !== undefined) this.elect(next)
  }

  /** The same leader in a new epoch. */
  renew(leader: ServerId, leaderEpoch: LeaderEpoch): void {
    const { current } = this
    if (current.leader === leader && current.leaderEpoch === leaderEpoch) this.elect(leader)
  }

  elect(leader: ServerId): void {
    assert.ok(this.current.isr.includes(leader), 'a leader is a member of the ISR')
    this.#change({ leader, leaderEpoch: this.current.partitionEpoch + 1 })
  }

  #change(change: Partial<PartitionMetadata>): void {
    const { current } = this
    this.#witnesses.clear()
    this.history.push({ ...current, ...change, partitionEpoch: current.partitionEpoch + 1 })
  }
}

type Pick = (candidates: readonly ServerId[]) => ServerId | undefined
