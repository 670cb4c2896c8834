/**
 * M6: what Raft takes for durable would survive a power cut: term and vote, and the entries that it
 * answers for. Looked at when a server goes down, which is when it counts.
 */
import { cutLosingAll } from '../power-cut.ts'
import type { RaftStatus } from '@liftbridge/raft'
import type { Cluster } from '../cluster/cluster.ts'
import { createSimRandom } from '../random.ts'
import { Violation, type Checker } from './checker.ts'
import { storedEntries, storedVote } from './raft-now.ts'

export function raftDurable(cluster: Cluster): Checker {
  cluster.watchers.push({
    onDown(machine, how) {
      const status = machine.core?.raftStatus
      if (status === undefined || how === 'wipe') return
      const worst = machine.disk.fork()
      worst.cutPower(cutLosingAll(createSimRandom('worst')))
      const { last } = storedEntries(worst)
      checkDurable(machine.name, status, { ...storedVote(worst), last })
    },
  })
  return {}
}

/** What the server believes, and what the disk holds for certain. */
export function checkDurable(
  server: string,
  believed: Pick<
    RaftStatus,
    'role' | 'votedFor' | 'hardStateDurable' | 'durableIndex' | 'snapshotIndex'
  >,
  stored: { readonly term: number; readonly votedFor: string | undefined; readonly last: number },
): void {
  const { role, votedFor, hardStateDurable, durableIndex, snapshotIndex } = believed
  if (hardStateDurable && (stored.term !== role.term || stored.votedFor !== votedFor)) {
    const text = `${server} believes term ${role.term} and its vote for ${votedFor} durable`
    throw new Violation('M6', `${text}; its disk has ${stored.term} and ${stored.votedFor}`)
  }
  if (durableIndex > Math.max(stored.last, snapshotIndex)) {
    const text = `${server} believes entries to ${durableIndex} durable`
    throw new Violation('M6', `${text}; its disk has them to ${stored.last}`)
  }
}
