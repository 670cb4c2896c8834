/** Each checker of Raft refuses a made-up breach of its rule, and passes what looks like one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RaftLeaders } from './m1-m2-raft-leaders.ts'
import { RaftLogs, type RaftLogNow } from './m3-m5-raft-logs.ts'
import { checkDurable } from './m6-raft-durable.ts'
import type { StoredEntry } from './raft-now.ts'

const leader = (term: number) => ({ kind: 'leader', term }) as const
const follower = (term: number) => ({ kind: 'follower', term, leader: undefined }) as const

/** Terms of the entries from index 1 on; entries of one index and term are equal. */
function entries(...terms: number[]): Map<number, StoredEntry> {
  return new Map(
    terms.map((term, at) => [at + 1, { term, print: `${at + 1} in ${term}`, voters: undefined }]),
  )
}

function log(server: string, terms: number[], more: Partial<RaftLogNow> = {}): RaftLogNow {
  const { length } = terms
  const known = { term: 9, leads: false, lastIndex: length, durableIndex: length, commitIndex: 0 }
  return { server, ...known, entries: entries(...terms), ...more }
}

describe('M1: a term has one leader', () => {
  it('not two runs of any servers', () => {
    const leaders = new RaftLeaders()
    leaders.see('s0.1', { role: leader(3), lastIndex: 4, commitIndex: 4 })
    leaders.see('s1.1', { role: leader(4), lastIndex: 4, commitIndex: 4 })
    const again = { role: leader(3), lastIndex: 4, commitIndex: 4 }
    assert.throws(() => leaders.see('s0.2', again), { invariant: 'M1' })
  })

  it('and no server goes back to an earlier one', () => {
    const leaders = new RaftLeaders()
    leaders.see('s0.1', { role: follower(3), lastIndex: 4, commitIndex: 4 })
    const back = { role: follower(2), lastIndex: 4, commitIndex: 4 }
    assert.throws(() => leaders.see('s0.1', back), { invariant: 'M1' })
  })
})

describe('M2: a leader only appends', () => {
  it('while it leads; a follower may lose what is not committed', () => {
    const leaders = new RaftLeaders()
    leaders.see('s0.1', { role: leader(3), lastIndex: 9, commitIndex: 4 })
    leaders.see('s0.1', { role: follower(4), lastIndex: 5, commitIndex: 4 })
    leaders.see('s0.1', { role: leader(5), lastIndex: 6, commitIndex: 4 })
    const shorter = { role: leader(5), lastIndex: 5, commitIndex: 4 }
    assert.throws(() => leaders.see('s0.1', shorter), { invariant: 'M2' })
  })

  it('and what is committed stays so', () => {
    const leaders = new RaftLeaders()
    leaders.see('s0.1', { role: follower(3), lastIndex: 9, commitIndex: 4 })
    const less = { role: follower(3), lastIndex: 9, commitIndex: 3 }
    assert.throws(() => leaders.see('s0.1', less), { invariant: 'M2' })
  })
})

describe('M3: logs that agree at an index agree before it', () => {
  it('also in entries that nobody has committed', () => {
    const bad = [log('s0', [1, 2, 3]), log('s1', [1, 1, 3])]
    assert.throws(() => new RaftLogs().see(bad), { invariant: 'M3' })
  })

  it('and may differ behind it', () => {
    new RaftLogs().see([log('s0', [1, 2, 3]), log('s1', [1, 2, 2, 2])])
  })
})

describe('M4: a later leader has what was committed', () => {
  it('at its index and of its term', () => {
    const logs = new RaftLogs()
    logs.see([log('s0', [1, 1, 2], { term: 2, commitIndex: 3 })])
    logs.see([log('s1', [1, 1, 2, 4], { term: 4, leads: true })])
    const other = log('s2', [1, 1, 4], { term: 5, leads: true })
    assert.throws(() => logs.see([other]), { invariant: 'M4' })
    const shorter = log('s2', [1, 1], { term: 5, leads: true })
    assert.throws(() => logs.see([shorter]), { invariant: 'M4' })
  })

  it('which an earlier leader that is still about need not have', () => {
    const logs = new RaftLogs()
    logs.see([log('s0', [1, 1, 2], { term: 2, commitIndex: 3 })])
    logs.see([log('s1', [1, 1], { term: 1, leads: true })])
  })
})

describe('M5: an index is committed with one entry', () => {
  it('on all servers', () => {
    const logs = new RaftLogs()
    logs.see([log('s0', [1, 1, 2], { commitIndex: 3 })])
    logs.see([log('s1', [1, 1, 3], { commitIndex: 2 })])
    const bad = log('s1', [1, 1, 3], { commitIndex: 3 })
    assert.throws(() => logs.see([bad]), { invariant: 'M5' })
  })

  it('whatever still lies on a disk where the committed one is about to be', () => {
    const logs = new RaftLogs()
    logs.see([log('s0', [1, 1, 2], { commitIndex: 3 })])
    logs.see([log('s1', [1, 1, 3], { commitIndex: 3, durableIndex: 2 })])
  })
})

describe('M10: one voter comes or goes at a time', () => {
  const configured = (...voters: string[][]): RaftLogNow => ({
    ...log('s0', [], {
      lastIndex: voters.length,
      durableIndex: voters.length,
      commitIndex: voters.length,
    }),
    entries: new Map(voters.map((ids, at) => [at + 1, { term: 1, print: `${at}`, voters: ids }])),
  })

  it('never two, nor one for another', () => {
    new RaftLogs().see([configured(['a', 'b'], ['a', 'b', 'c'], ['b', 'c'], ['b', 'c'])])
    const bad = [configured(['a'], ['a', 'b', 'c']), configured(['a', 'b'], ['a', 'c'])]
    for (const one of bad) assert.throws(() => new RaftLogs().see([one]), { invariant: 'M10' })
  })
})

describe('M6: what Raft takes for durable is', () => {
  const believed = {
    role: follower(4),
    votedFor: 's1',
    hardStateDurable: true,
    durableIndex: 7,
    snapshotIndex: 0,
  }

  it('its term and its vote', () => {
    checkDurable('s0', believed, { term: 4, votedFor: 's1', last: 7 })
    checkDurable(
      's0',
      { ...believed, hardStateDurable: false },
      { term: 3, votedFor: 's1', last: 9 },
    )
    for (const stored of [
      { term: 3, votedFor: 's1', last: 7 },
      { term: 4, votedFor: undefined, last: 7 },
    ]) {
      assert.throws(() => checkDurable('s0', believed, stored), { invariant: 'M6' })
    }
  })

  it('and its entries, in the log or in a snapshot', () => {
    const short = { term: 4, votedFor: 's1', last: 6 }
    assert.throws(() => checkDurable('s0', believed, short), { invariant: 'M6' })
    checkDurable('s0', { ...believed, snapshotIndex: 7 }, short)
  })
})
