/**
 * M3: where two logs of Raft have an entry of one index and term, they agree up to there. M4: what
 * was committed is in the log of every later leader. M5: no index is committed with two entries.
 * M10: from one committed configuration to the next at most one voter comes or goes.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'
import { raftsNow, storedEntries, type RaftNow, type StoredEntry } from './raft-now.ts'

/** Logs are read from the disks after so many looks. */
const LOOKS_BETWEEN = 160
/** Logs part, and come together again, when leaders change: more often then, for so many looks. */
const LOOKS_BETWEEN_THEN = 4
const LOOKS_AFTER_ELECTION = 80

/** The log of one server, and what it knows to be committed of it. */
export interface RaftLogNow {
  readonly server: string
  readonly term: number
  readonly leads: boolean
  readonly lastIndex: number
  /** Up to here the entries on the disk are those of the memory; beyond, a change is under way. */
  readonly durableIndex: number
  readonly commitIndex: number
  readonly entries: ReadonlyMap<number, StoredEntry>
}

export function raftLogs(cluster: Cluster): Checker {
  let logs = new RaftLogs()
  cluster.watchers.push({
    onMetadataLost() {
      logs = new RaftLogs()
    },
  })
  let looks = 0
  let electedAt = -Infinity
  const elections = new Elections()
  const look = (): void =>
    logs.see(
      [...raftsNow(cluster)].map(({ machine, status }) => ({
        server: machine.name,
        term: status.role.term,
        leads: status.role.kind === 'leader',
        lastIndex: status.lastIndex,
        durableIndex: status.durableIndex,
        commitIndex: status.commitIndex,
        entries: storedEntries(machine.disk).entries,
      })),
    )
  return {
    onStep() {
      looks++
      if (elections.see(raftsNow(cluster))) electedAt = looks
      const isNear = looks - electedAt < LOOKS_AFTER_ELECTION
      if (looks % (isNear ? LOOKS_BETWEEN_THEN : LOOKS_BETWEEN) === 0) look()
    },
    atEnd: look,
  }
}

class Elections {
  /** By the run of a server: the newest term that it led. */
  readonly #terms = new Map<string, number>()

  /** Whether a server leads that did not when it was seen last. */
  see(servers: Iterable<RaftNow>): boolean {
    let isNew = false
    for (const { run, status } of servers) {
      const { kind, term } = status.role
      if (kind !== 'leader' || this.#terms.get(run) === term) continue
      this.#terms.set(run, term)
      isNew = true
    }
    return isNew
  }
}

type Committed = StoredEntry & {
  readonly server: string
  /** Term of the server that was seen to have it committed: leaders of later terms must have it. */
  readonly inTerm: number
}

export class RaftLogs {
  readonly #committed = new Map<number, Committed>()

  /** All servers that run, at one moment. */
  see(servers: readonly RaftLogNow[]): void {
    for (const [at, one] of servers.entries()) {
      for (const other of servers.slice(at + 1)) checkMatch(one, other)
    }
    for (const server of servers) this.#checkCommitted(server)
    for (const server of servers) if (server.leads) this.#checkLeader(server)
    this.#checkConfigurations()
  }

  #checkCommitted(now: RaftLogNow): void {
    const { server, entries, commitIndex, durableIndex, term } = now
    for (const [index, entry] of entries) {
      // A follower may learn what is committed before its disk has it in the place of its own.
      if (index > commitIndex || index > durableIndex) continue
      const known = this.#committed.get(index)
      if (known === undefined) this.#committed.set(index, { ...entry, server, inTerm: term })
      else if (!isSame(known, entry)) {
        const text = `entry ${index} is of term ${known.term} on ${known.server}`
        throw new Violation('M5', `${text}, of term ${entry.term} on ${server}, and committed`)
      }
    }
  }

  #checkLeader(now: RaftLogNow): void {
    const { server, term, lastIndex, durableIndex, entries } = now
    for (const [index, entry] of this.#committed) {
      if (entry.inTerm >= term) continue
      const own = entries.get(index)
      // What is not on the disk may be in a snapshot, or on its way to the disk.
      const isOther = own !== undefined && index <= durableIndex && !isSame(own, entry)
      if (index <= lastIndex && !isOther) continue
      const text = `${server} leads term ${term} without the committed entry ${index}`
      throw new Violation('M4', `${text} of term ${entry.term}`)
    }
  }

  #checkConfigurations(): void {
    let before: readonly string[] | undefined
    for (const [index, { voters }] of [...this.#committed].toSorted(([a], [b]) => a - b)) {
      if (voters === undefined) continue
      const came = voters.filter((id) => before?.includes(id) === false)
      const went = before?.filter((id) => !voters.includes(id)) ?? []
      if (came.length + went.length > 1) {
        const text = `entry ${index} changes the voters ${before?.join()} to ${voters.join()}`
        throw new Violation('M10', text)
      }
      before = voters
    }
  }
}

function isSame(one: StoredEntry, other: StoredEntry): boolean {
  return one.term === other.term && one.print === other.print
}

function checkMatch(one: RaftLogNow, other: RaftLogNow): void {
  let agreed = -1
  for (const [index, { term }] of one.entries) {
    if (other.entries.get(index)?.term === term) agreed = Math.max(agreed, index)
  }
  for (const [index, entry] of one.entries) {
    const theirs = other.entries.get(index)
    if (index > agreed || theirs === undefined || isSame(entry, theirs)) continue
    const text = `${one.server} and ${other.server} agree at ${agreed} and differ at ${index}`
    throw new Violation('M3', text)
  }
}
