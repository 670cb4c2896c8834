import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  CorruptSegmentError,
  LogError,
  RecordBatch,
  type CommitLog,
  type LogProblem,
} from '@liftbridge/log'
import { assertHolds, readRecords } from './crash-log-check.ts'
import {
  LOG_DIRECTORY,
  LogActor,
  NOTHING_CLAIMED,
  openLog,
  prepareDisk,
  type LogClaim,
} from './crash-log.ts'
import { SimDisk } from './disk.ts'
import { cutAtRandom, cutLosingAll } from './power-cut.ts'
import { createSimRandom } from './random.ts'

/**
 * Failures of other systems that one server's disk can bring about [reliability 3f]. Number 14,
 * Redpanda's truncation after a clean end, is among the scenarios whose crash points are tried.
 */
const LAST_SEGMENT = `${LOG_DIRECTORY}/00000000000000000005.log`

/** A log of eight synced records in two segments, with all its files. */
async function writtenLog(): Promise<{ storage: SimDisk; actor: LogActor; claim: LogClaim }> {
  const storage = new SimDisk()
  await prepareDisk(storage.attach())
  let claim = NOTHING_CLAIMED
  const actor = await LogActor.open(storage.attach(), (claimed) => (claim = claimed))
  await actor.append({ count: 2, epoch: 2, valueBytes: 100 })
  await actor.append({ count: 3, epoch: 5, valueBytes: 100 })
  await actor.append({ count: 2, valueBytes: 100 })
  await actor.checkpoint(3)
  await actor.append({ count: 1, valueBytes: 100, epoch: 6 })
  await actor.sync()
  return { storage, actor, claim }
}

async function appendOne(log: CommitLog): Promise<number> {
  const batch = new RecordBatch()
  batch.addRecord({ value: Buffer.from('one more') })
  return log.append(batch, { timestampNs: 1_000_000_000n, leaderEpoch: 1_000 })
}

describe('16: a torn or zero-filled tail is cut to the last whole record [etcd #5230, #6515]', () => {
  it('wherever the last record is cut, zeroed or followed by zeros', async () => {
    const { storage } = await writtenLog()
    storage.kill()
    const content = storage.content(LAST_SEGMENT)
    const whole = await readRecords(await openLog(storage.fork().attach()))
    const start = content.length - 144
    assert.equal(Buffer.from(content).readBigInt64BE(start), 7n)
    for (let at = start; at < content.length; at++) {
      const zeroed = content.slice().fill(0, at)
      const padded = new Uint8Array(content.length + 700)
      padded.set(content.subarray(0, at))
      for (const damaged of [content.subarray(0, at), zeroed, padded]) {
        const disk = storage.fork()
        disk.overwrite(LAST_SEGMENT, damaged)
        const log = await openLog(disk.attach())
        // A record without headers ends in two zeros, so zeroing only those is no damage.
        const isWhole = Buffer.from(damaged.subarray(0, content.length)).equals(content)
        const expected = isWhole ? whole : whole.slice(0, 7)
        assert.deepEqual(await readRecords(log), expected, `damage from byte ${at}`)
        assert.equal(disk.content(LAST_SEGMENT).length, isWhole ? content.length : start)
      }
    }
  })

  it('and the log goes on at the offset that is free again', async () => {
    const { storage } = await writtenLog()
    storage.kill()
    storage.zeroRange(LAST_SEGMENT, storage.content(LAST_SEGMENT).length - 30, 30)
    const log = await openLog(storage.attach())
    assert.equal(await appendOne(log), 7)
    await log.sync()
    storage.cutPower(cutLosingAll(createSimRandom(1)))
    const values = (await readRecords(await openLog(storage.attach()))).map(({ value }) => value)
    assert.equal(values.at(-1), 'one more')
    assert.equal(values.length, 8)
  })
})

describe('17: nothing is claimed after a sync that failed [fsyncgate, reliability D7]', () => {
  for (const afterwards of ['lie', 'revert'] as const) {
    it(`even if the next sync would succeed (${afterwards})`, async () => {
      const { storage, actor, claim } = await writtenLog()
      const { log } = actor
      await actor.append({ count: 2 })
      let failures = 0
      storage.onOperation = ({ kind }) => {
        if (kind !== 'sync' || failures > 0) return undefined
        failures++
        return { kind: 'lose-unsynced', afterwards }
      }
      const waiting = [log.sync(), log.sync(), log.sync()]
      for (const sync of waiting) await assert.rejects(() => sync)
      await assert.rejects(() => log.sync(), LogError)
      await assert.rejects(() => appendOne(log), LogError)
      assert.equal(log.state, 'failed')
      assert.equal(log.syncedOffset, 7)
      await assert.rejects(() => log.checkpoint(), LogError)
      await log.close()
      storage.cutPower(cutAtRandom(createSimRandom(1)))
      const found = await readRecords(await openLog(storage.attach()))
      assertHolds(found.slice(0, 8), claim, 7)
    })
  }
})

describe('17: a log opened again in the process whose sync failed [fsyncgate, reliability D7]', () => {
  /** Fails one sync in between, opens again, appends, and cuts the power. */
  async function reopen(
    afterwards: 'lie' | 'revert',
    distrusts: boolean,
    seed: number,
  ): Promise<{ readonly claimed: number; readonly found: readonly unknown[] }> {
    const { storage, actor } = await writtenLog()
    await actor.append({ count: 9, valueBytes: 300 })
    let failures = 0
    storage.onOperation = ({ kind }) => {
      if (kind !== 'sync' || failures > 0) return undefined
      failures++
      return { kind: 'lose-unsynced', afterwards }
    }
    await assert.rejects(() => actor.log.sync())
    await actor.log.close()
    assert.ok(actor.log.failure !== undefined)
    const distrustBeyond = actor.log.syncedOffset
    assert.equal(distrustBeyond, 7)
    const log = await openLog(storage.attach(), distrusts ? { distrustBeyond } : {})
    const claimed = [log.syncedOffset]
    await appendOne(log)
    claimed.push(await log.sync())
    const random = createSimRandom(seed)
    storage.cutPower(seed === 0 ? cutLosingAll(random) : cutAtRandom(random))
    const found = await readRecords(await openLog(storage.attach()))
    return { claimed: Math.max(...claimed), found: found.map(({ offset }) => offset) }
  }

  for (const afterwards of ['lie', 'revert'] as const) {
    it(`claims only what a power cut leaves there (${afterwards})`, async () => {
      for (let seed = 0; seed < 40; seed++) {
        const { claimed, found } = await reopen(afterwards, true, seed)
        assert.equal(claimed, afterwards === 'lie' ? 17 : 8)
        const all = Array.from({ length: claimed + 1 }, (_, offset) => offset)
        assert.deepEqual(found.slice(0, claimed + 1), all, `seed ${seed}`)
      }
    })
  }

  it('would lose what it claimed if it believed what it reads', async () => {
    await assert.rejects(() => reopen('lie', false, 0), { name: 'CorruptSegmentError' })
  })
})

describe('18: a disk that is full, then has room again [etcd #2819, reliability T4]', () => {
  it('refuses appends and nothing else, at any number of free bytes, and resumes unaided', async () => {
    for (let free = 0; free < 900; free += 7) {
      const { storage, actor } = await writtenLog()
      const { log } = actor
      const disk = storage
      let used = 0
      for (const path of disk.files(LOG_DIRECTORY)) used += disk.content(path).length
      disk.capacityBytes = used + free
      let refused = 0
      for (let round = 0; round < 8; round++) {
        const newest = log.newestOffset
        const before = await readRecords(log)
        try {
          await actor.append({ count: 1, valueBytes: 200 })
        } catch (error) {
          refused++
          assert.ok(error instanceof Error && 'code' in error && error.code === 'no-space')
          assert.equal(log.newestOffset, newest, `${free} bytes free`)
          assert.deepEqual(await readRecords(log), before)
        }
      }
      assert.ok(refused > 0, `${free} bytes were enough`)
      disk.capacityBytes = Infinity
      await actor.append({ count: 2 })
      await actor.sync()
      const { state } = actor
      assertHolds(await readRecords(log), state, state.written)
      disk.cutPower(cutLosingAll(createSimRandom(free)))
      assertHolds(await readRecords(await openLog(disk.attach())), state, state.synced)
    }
  })
})

describe('21: garbage in hint files at start [Liftbridge #411, #243, reliability T3]', () => {
  const index = `${LOG_DIRECTORY}/00000000000000000000.index`
  const epochs = `${LOG_DIRECTORY}/leader-epoch-checkpoint`
  const mark = `${LOG_DIRECTORY}/replication-offset-checkpoint`
  const negativeOffset = Buffer.alloc(20)
  negativeOffset.writeInt32BE(-1)
  const farPosition = Buffer.alloc(40, 0x7f)
  const texts: Readonly<Record<string, readonly string[]>> = {
    [index]: ['', '\0', '\0'.repeat(20), '\0'.repeat(4_000), 'not an index at all'],
    [epochs]: [
      '',
      '0\n',
      '1\n0\n',
      '0\n0\n',
      '0\n1\n',
      '0\n1\n5\n',
      '0\n1\n5 99999\n',
      '0\n1\n99999 0\n',
      '0\n1\n1 -1\n',
      '0\n2\n7 0\n7 3\n',
      '0\n2\n7 4\n8 1\n',
      '0\n1\n99999999999999999999 0\n',
      'x\n',
      '\0\0\0\0',
    ],
    [mark]: ['', '\n', 'abc', '-1', '-5', '0x3', '3\n', '99', '99999999999999999999', '\0\0'],
  }
  for (const [path, contents] of Object.entries(texts)) {
    it(`costs no record and no start: ${path.slice(LOG_DIRECTORY.length + 1)}`, async () => {
      const { storage, claim } = await writtenLog()
      storage.kill()
      const damages = contents.map((text) => Buffer.from(text, 'latin1'))
      if (path === index) damages.push(negativeOffset, farPosition)
      for (const damage of damages) {
        const disk = storage.fork()
        disk.overwrite(path, damage)
        const log = await openLog(disk.attach())
        const found = await readRecords(log)
        assertHolds(found, claim, 7)
        for (const { offset, epoch } of found) {
          const started = log.epochs.findLast(({ start }) => start <= offset)
          assert.equal(started?.epoch, epoch, `epoch of ${offset} with ${JSON.stringify(damage)}`)
        }
        assert.equal(await appendOne(log), 8)
      }
    })
  }
})

describe('a sealed segment that lost its bytes at rest', () => {
  it('is reported with the offsets that are gone, and the rest is served [reliability T2]', async () => {
    const { storage } = await writtenLog()
    storage.kill()
    storage.cutFile(`${LOG_DIRECTORY}/00000000000000000000.log`, 0)
    const problems: LogProblem[] = []
    const onProblem = (problem: LogProblem): void => void problems.push(problem)
    const log = await openLog(storage.attach(), { onProblem })
    assert.deepEqual(
      problems.filter(({ kind }) => kind === 'durable-tail-missing'),
      [{ kind: 'durable-tail-missing', lostFrom: 0, mark: 4 }],
    )
    // A reader that comes to the gap is told of it; one that starts behind it is served.
    await assert.rejects(readRecords(log), CorruptSegmentError)
    const reader = log.reader({ from: 5, until: 'written' })
    const block = await reader.poll()
    assert.ok(block?.kind === 'block')
    assert.deepEqual([block.firstOffset, block.lastOffset], [5, 7])
    reader.close()
  })
})
