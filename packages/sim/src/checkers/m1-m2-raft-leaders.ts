/**
 * M1: a term of Raft has one leader. M2: a leader only appends to its log. And what is committed or
 * counted as a term never goes back while a server runs.
 */
import type { RaftStatus } from '@liftbridge/raft'
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'
import { raftsNow } from './raft-now.ts'

type Seen = Pick<RaftStatus, 'role' | 'lastIndex' | 'commitIndex'>

export function raftLeaders(cluster: Cluster): Checker {
  let leaders = new RaftLeaders()
  cluster.watchers.push({
    onMetadataLost() {
      leaders = new RaftLeaders()
    },
  })
  return {
    onStep() {
      for (const { run, status } of raftsNow(cluster)) leaders.see(run, status)
    },
  }
}

export class RaftLeaders {
  readonly #leaders = new Map<number, string>()
  readonly #seen = new Map<string, Seen>()

  /** `run` names one life of a server's process: after a restart a server leads in a new term. */
  see(run: string, status: Seen): void {
    const before = this.#seen.get(run)
    if (before === status) return
    this.#seen.set(run, status)
    const { role, lastIndex, commitIndex } = status
    if (role.kind === 'leader') {
      const leader = this.#leaders.get(role.term) ?? run
      if (leader !== run) throw new Violation('M1', `term ${role.term} has ${leader} and ${run}`)
      this.#leaders.set(role.term, run)
    }
    if (before === undefined) return
    if (role.term < before.role.term) {
      throw new Violation('M1', `the term of ${run} fell from ${before.role.term} to ${role.term}`)
    }
    const leads = role.kind === 'leader' && before.role.kind === 'leader'
    if (leads && role.term === before.role.term && lastIndex < before.lastIndex) {
      const text = `${run} leads term ${role.term}`
      throw new Violation('M2', `${text} and its log fell from ${before.lastIndex} to ${lastIndex}`)
    }
    if (commitIndex < before.commitIndex) {
      const text = `what is committed on ${run} fell from ${before.commitIndex} to ${commitIndex}`
      throw new Violation('M2', text)
    }
  }
}
