import assert from 'node:assert/strict'
import {
  CommitLog,
  RecordBatch,
  RecordView,
  recordEpoch,
  type CommitLogOptions,
  type LogProblem,
} from '@liftbridge/log'
import { LOG_DIRECTORY, openLog, type KnownRecord, type LogClaim } from './crash-log.ts'
import type { CrashState } from './crash-points.ts'
import type { SimDisk } from './disk.ts'
import { twinRecords } from './log-twin.ts'
import { cutAtRandom, cutLosingAll } from './power-cut.ts'
import { createSimRandom } from './random.ts'

type Found = KnownRecord

/** What a recovery made of a disk. */
interface Recovered {
  readonly found: readonly Found[]
  readonly highWatermark: number
}

/**
 * Holds what recovery makes of crash states against the claims [T1, K3, R3, E3]. Many states of a
 * scenario are the same disk under different claims: such a disk is recovered once.
 */
export class RecoveryCheck {
  readonly #options: Partial<CommitLogOptions>
  readonly #known = new Map<string, Recovered>()

  constructor(options: Partial<CommitLogOptions> = {}) {
    this.#options = options
  }

  /** Different disks that were recovered. */
  get distinct(): number {
    return this.#known.size
  }

  async check(state: CrashState<LogClaim>): Promise<void> {
    const { disk, claim } = state
    const key = disk.fingerprint()
    let recovered = this.#known.get(key)
    if (recovered === undefined) {
      recovered = await recover(disk, this.#options)
      this.#known.set(key, recovered)
    }
    const { found, highWatermark } = recovered
    assertHolds(found, claim, state.kind === 'kill' ? claim.written : claim.synced)
    const newest = found.at(-1)?.offset ?? -1
    assert.ok(highWatermark >= Math.min(claim.checkpointed, newest), 'the high watermark went back')
  }
}

async function recover(disk: SimDisk, options: Partial<CommitLogOptions>): Promise<Recovered> {
  const expected = twinRecords(disk, LOG_DIRECTORY)
  const problems: LogProblem[] = []
  const onProblem = (problem: LogProblem): void => void problems.push(problem)
  const log = await openLog(disk.attach(), { ...options, onProblem })
  const found = await readRecords(log)
  assertSound(log, found, problems)
  assert.deepEqual(
    found.map(({ offset, epoch, key, value }) => ({ offset, epoch, key, value })),
    expected,
    'the log does not show the longest valid prefix',
  )
  const { highWatermark } = log
  await checkAgain(disk, found, options)
  await checkGoesOn(disk, found, options)
  return { found, highWatermark }
}

/** Everything readable without waiting. */
export async function readRecords(log: CommitLog): Promise<Found[]> {
  const reader = log.reader({ from: 0, until: 'written' })
  const records: Found[] = []
  const view = new RecordView()
  for (;;) {
    const block = await reader.poll()
    if (block === undefined || block.kind === 'end') break
    const buffer = Buffer.from(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength)
    for (let at = block.start; at < block.end; at = view.end) {
      assert.ok(view.load(block.bytes, at), 'a reader gave a malformed record')
      records.push({
        offset: view.offset,
        epoch: recordEpoch(block.bytes, at),
        key: view.keyStart < 0 ? undefined : buffer.toString('latin1', view.keyStart, view.keyEnd),
        value: buffer.toString('latin1', view.valueStart, view.valueEnd),
      })
    }
  }
  reader.close()
  return records
}

function assertSound(log: CommitLog, found: readonly Found[], problems: LogProblem[]): void {
  const bad = problems.filter(
    ({ kind }) => kind !== 'tail-cut' && kind !== 'hint-rebuilt' && kind !== 'hint-not-written',
  )
  assert.deepEqual(bad, [], 'a mere crash was taken for damage')
  assert.equal(log.state, 'open')
  const last = found.at(-1)?.offset
  if (last !== undefined) assert.equal(log.newestOffset, last)
  assert.equal(log.oldestOffset, found[0]?.offset ?? -1)
  assert.ok(log.highWatermark <= log.newestOffset, 'the high watermark is beyond the log [R3]')
  assert.equal(log.syncedOffset, log.newestOffset)
  for (const [index, record] of found.entries()) {
    const next = found[index + 1]
    if (next === undefined) break
    assert.ok(next.offset > record.offset, 'offsets do not ascend')
    assert.ok(next.epoch >= record.epoch, 'epochs fall [E3]')
  }
}

/** Everything owed is there, nothing that was never appended is, and no gap is unexplained. */
function assertHolds(found: readonly Found[], claim: LogClaim, least: number): void {
  const reasons: string[] = []
  for (const history of claim.histories) {
    const reason = departure(found, history, claim)
    if (reason === undefined) {
      const last = Math.max(found.at(-1)?.offset ?? -1, -1)
      const owed = history.filter(({ offset }) => offset <= least && !claim.removable.has(offset))
      const missing = owed.find(({ offset }) => offset > last)
      if (missing === undefined) return
      reasons.push(`offset ${missing.offset} was owed (up to ${least}) and the log ends at ${last}`)
    } else {
      reasons.push(reason)
    }
  }
  assert.fail(reasons.join('; '))
}

/** Why the records are not the beginning of a history less what may be removed. */
function departure(
  found: readonly Found[],
  history: readonly Found[],
  claim: LogClaim,
): string | undefined {
  const byOffset = new Map(found.map((record) => [record.offset, record]))
  const last = found.at(-1)?.offset ?? -1
  for (const known of history) {
    const record = byOffset.get(known.offset)
    byOffset.delete(known.offset)
    if (record === undefined) {
      if (known.offset <= last && !claim.removable.has(known.offset)) {
        return `offset ${known.offset} is missing in the middle`
      }
    } else if (
      record.value !== known.value ||
      record.key !== known.key ||
      record.epoch !== known.epoch
    ) {
      return `offset ${known.offset} holds ${record.value}, not ${known.value}`
    }
  }
  const [phantom] = byOffset.keys()
  return phantom === undefined ? undefined : `offset ${phantom} was never appended`
}

/** A second recovery finds the same and changes no file [T1]. */
async function checkAgain(
  disk: SimDisk,
  found: readonly Found[],
  options: Partial<CommitLogOptions>,
): Promise<void> {
  const before = contents(disk)
  const again = disk.fork()
  const log = await openLog(again.attach(), options)
  assert.deepEqual(await readRecords(log), found, 'a second recovery finds something else')
  assert.deepEqual(contents(again), before, 'a second recovery changes files')
}

function contents(disk: SimDisk): Record<string, string> {
  const entries = disk
    .files(LOG_DIRECTORY)
    .map((path) => [path, Buffer.from(disk.content(path)).toString('latin1')] as const)
    // An index is made when it is first wanted; one without entries is as good as none.
    .filter(([path, content]) => !(path.endsWith('.index') && content === ''))
  return Object.fromEntries(entries)
}

/** The recovered log takes records, and what it then calls durable survives the next power cut. */
async function checkGoesOn(
  disk: SimDisk,
  found: readonly Found[],
  options: Partial<CommitLogOptions>,
): Promise<void> {
  const log = await openLog(disk.attach(), options)
  const batch = new RecordBatch()
  // Newer than any: the log may know of an epoch none of whose records survived.
  const epoch = 1_000
  batch.addRecord({ value: Buffer.from('after') })
  const stamp = { timestampNs: 1_000_000_000n, leaderEpoch: epoch }
  const offset = await log.append(batch, stamp)
  assert.ok(offset > (found.at(-1)?.offset ?? -1), 'an offset was given twice')
  const expected = [...found, { offset, epoch, key: undefined, value: 'after' }]
  assert.deepEqual(await readRecords(log), expected, 'the recovered log does not go on')
  await log.sync()
  for (const plan of [cutLosingAll(createSimRandom(1)), cutAtRandom(createSimRandom(2))]) {
    const cut = disk.fork()
    cut.cutPower(plan)
    const last = await openLog(cut.attach(), options)
    assert.deepEqual(await readRecords(last), expected, 'a second crash loses synced records')
  }
}
