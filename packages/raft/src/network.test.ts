import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { randomRun } from './random-run.suite.ts'
import { MARKS } from './safety.suite.ts'

/**
 * `RAFT_SEEDS=20000` runs that many seeds, `RAFT_FROM=5` from that one on; `RAFT_SEED=7` replays
 * one and prints every step of it if it fails.
 */
const { RAFT_SEEDS, RAFT_FROM, RAFT_SEED } = env
const SEEDS_BY_DEFAULT = 200

test('no random run of servers and faults breaks M1 to M6 or M10, and each recovers after it', (t) => {
  if (RAFT_SEED !== undefined) {
    randomRun(Number(RAFT_SEED), true)
    return
  }
  const seeds = Number(RAFT_SEEDS ?? SEEDS_BY_DEFAULT)
  const from = Number(RAFT_FROM ?? 1)
  const marks = new Map<string, number>()
  let [events, committed, virtualMs] = [0, 0, 0]
  for (let seed = from; seed < from + seeds; seed += 1) {
    const run = randomRun(seed)
    events += run.events
    committed += run.committed
    virtualMs += run.virtualMs
    for (const [mark, times] of run.marks) marks.set(mark, (marks.get(mark) ?? 0) + times)
  }
  const hours = (virtualMs / 3_600_000).toFixed(1)
  t.diagnostic(`${seeds} seeds, ${events} events, ${hours} virtual hours, ${committed} committed`)
  for (const mark of MARKS) {
    t.diagnostic(`${mark}: ${marks.get(mark) ?? 0}`)
    if (seeds >= SEEDS_BY_DEFAULT) assert.ok(marks.has(mark), `never met: ${mark}`)
  }
})

test('a seed gives the same run twice', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    assert.deepEqual(randomRun(seed), randomRun(seed))
  }
})
