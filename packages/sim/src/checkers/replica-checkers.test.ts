/** Each checker of replicas refuses a made-up breach of its rule, and passes what looks like one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FailedSyncs } from './d7-failed-syncs.ts'
import { Leaderships } from './e2-r8-leaderships.ts'
import { checkTable } from './e3-epoch-table.ts'
import { DataKept } from './m9-data-kept.ts'
import { checkCheckpoint } from './r3-r4-watermarks.ts'
import { CommittedKept } from './r6-committed-kept.ts'
import { EpochBound } from './r9-epoch-bound.ts'

describe('R3: a checkpoint names only what is durable', () => {
  it('and may be behind', () => {
    checkCheckpoint('p', 4, 4)
    checkCheckpoint('p', -1, -1)
    assert.throws(() => checkCheckpoint('p', 5, 4), { invariant: 'R3' })
  })
})

/** A cut of server s0, under a leader that has everything. */
const CUT = { server: 's0', partition: 'a/0', to: 9, leaderOldest: 0 }

describe('R6: what is committed is not cut off', () => {
  it('nor less than was known before a restart', () => {
    const kept = new CommittedKept()
    kept.see('s0', 'p', { highWatermark: 5, newestOffset: 9 })
    kept.see('s0', 'p', { highWatermark: 2, newestOffset: 5 })
    const cut = { highWatermark: 2, newestOffset: 4 }
    assert.throws(() => kept.see('s0', 'p', cut), { invariant: 'R6' })
    kept.see('s1', 'p', cut)
  })

  it('nor anything in between two looks', () => {
    const kept = new CommittedKept()
    kept.see('s0', 'a/0 of incarnation 3', { highWatermark: 9, newestOffset: 9 })
    kept.see('s0', 'a/0 of incarnation 7', { highWatermark: 5, newestOffset: 9 })
    kept.cut({ ...CUT, from: 6 })
    kept.checkCuts()
    kept.cut({ ...CUT, from: 5 })
    assert.throws(() => kept.checkCuts(), { invariant: 'R6' })
  })

  it('unless its leader begins behind all of it, and then once', () => {
    const kept = new CommittedKept()
    const [server, partition] = ['s0', 'p']
    kept.see(server, partition, { highWatermark: 5, newestOffset: 9 })
    kept.beginAnew({ server, partition, to: 9, leaderOldest: 10 })
    kept.see(server, partition, { highWatermark: 5, newestOffset: 9 })
    kept.see(server, partition, { highWatermark: -1, newestOffset: -1 })
    kept.checkCuts()
    kept.see(server, partition, { highWatermark: 12, newestOffset: 14 })
    const empty = { highWatermark: -1, newestOffset: -1 }
    assert.throws(() => kept.see(server, partition, empty), { invariant: 'R6' })
    kept.beginAnew({ server, partition, to: 14, leaderOldest: 14 })
    assert.throws(() => kept.checkCuts(), { invariant: 'R6' })
  })

  it('unless retention has removed all of that from the log of its leader, which is there to show it', () => {
    const kept = new CommittedKept()
    const partition = 'a/0 of incarnation 3'
    kept.see('s0', partition, { highWatermark: 9, newestOffset: 9 })
    kept.cut({ ...CUT, from: 4, leaderOldest: 10 })
    kept.checkCuts()
    kept.see('s0', partition, { highWatermark: 3, newestOffset: 3 })
    kept.see('s0', partition, { highWatermark: 12, newestOffset: 12 })
    kept.cut({ ...CUT, from: 4, to: 12, leaderOldest: Infinity })
    assert.throws(() => kept.checkCuts(), { invariant: 'R6' })
  })

  it('unless it went with its stream: the next one of that name is another', () => {
    const kept = new CommittedKept()
    kept.see('s0', 'a/0 of incarnation 3', { highWatermark: 9, newestOffset: 9 })
    kept.forgetStream('s0', 'a')
    kept.cut({ ...CUT, from: 0 })
    kept.see('s0', 'a/0 of incarnation 7', { highWatermark: -1, newestOffset: 2 })
    kept.cut({ ...CUT, from: 0 })
    kept.checkCuts()
  })

  it('unless the disk has lost it', () => {
    const kept = new CommittedKept()
    kept.see('s0', 'p', { highWatermark: 5, newestOffset: 9 })
    kept.forget('s0')
    kept.see('s0', 'p', { highWatermark: -1, newestOffset: -1 })
  })
})

describe('R8: whoever begins to lead has what was committed', () => {
  const first = { epoch: 4, leader: 's0', start: 0, highWatermark: 6 }

  it('by the leaders before', () => {
    const seen = new Leaderships()
    seen.see('p', first)
    seen.see('p', { epoch: 7, leader: 's1', start: 7, highWatermark: 5 })
    const lacking = { epoch: 9, leader: 's2', start: 6, highWatermark: 5 }
    assert.throws(() => seen.see('p', lacking), { invariant: 'R8' })
    seen.see('q', lacking)
  })
})

describe('E2: an old leadership commits nothing where a new one has begun', () => {
  it('though it may still commit what is before', () => {
    const seen = new Leaderships()
    seen.see('p', { epoch: 4, leader: 's0', start: 0, highWatermark: 3 })
    seen.see('p', { epoch: 7, leader: 's1', start: 7, highWatermark: 3 })
    seen.see('p', { epoch: 4, leader: 's0', start: 0, highWatermark: 6 })
    const zombie = { epoch: 4, leader: 's0', start: 0, highWatermark: 7 }
    assert.throws(() => seen.see('p', zombie), { invariant: 'E2' })
  })
})

describe('E3: the table of epochs fits the records', () => {
  const table = [
    { epoch: 2, start: 0 },
    { epoch: 3, start: 4 },
    { epoch: 5, start: 4 },
  ]

  it('epochs without records included', () => {
    checkTable('p', table, [
      { offset: 0, epoch: 2 },
      { offset: 3, epoch: 2 },
      { offset: 4, epoch: 5 },
    ])
    checkTable('p', [], [])
  })

  it('and neither lacks an epoch nor begins it too late', () => {
    for (const record of [
      { offset: 3, epoch: 3 },
      { offset: 4, epoch: 2 },
    ]) {
      assert.throws(() => checkTable('p', table, [record]), { invariant: 'E3' })
    }
    assert.throws(() => checkTable('p', [], [{ offset: 0, epoch: 1 }]), { invariant: 'E3' })
  })
})

describe('R9: no record is of a newer epoch than its replica', () => {
  it('when it is appended; a log that is newer than the metadata rests', () => {
    const bound = new EpochBound()
    const log = { newestOffset: 3, leaderEpoch: 7 }
    bound.see('p', 6, log)
    bound.see('p', 6, log)
    bound.see('p', 8, Object.assign(log, { newestOffset: 4, leaderEpoch: 8 }))
    const newer = Object.assign(log, { newestOffset: 5, leaderEpoch: 9 })
    assert.throws(() => bound.see('p', 8, newer), { invariant: 'R9' })
  })
})

describe('D7: after a failed sync nothing more counts as durable', () => {
  it('in that log; one that is opened anew may go on', () => {
    const failed = new FailedSyncs()
    const log = { syncedOffset: 4 }
    failed.fail('p', log)
    failed.look()
    log.syncedOffset = 5
    assert.throws(() => failed.look(), { invariant: 'D7' })
  })
})

describe('M9: data that nobody deleted stays', () => {
  const place = '/data/streams'

  it('where it is, or set aside', () => {
    const kept = new DataKept((stream) => stream === 'gone')
    kept.see('s0', [`${place}/a/0/1.log`, `${place}/gone/0/1.log`])
    kept.see('s0', [`${place}/.quarantine/a@7-2/0/1.log`])
    assert.throws(() => kept.see('s0', [`${place}/a/identity`]), { invariant: 'M9' })
  })

  it('unless the disk may have lost it', () => {
    const kept = new DataKept(() => false)
    kept.see('s0', [`${place}/a/0/1.log`])
    kept.forget('s0')
    kept.see('s0', [])
  })
})
