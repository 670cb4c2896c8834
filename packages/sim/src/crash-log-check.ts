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
import {
  checkCrashPoints,
  traceCrashPoints,
  type CrashBudget,
  type CrashState,
} from './crash-points.ts'
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
  readonly #budget: CrashBudget
  readonly #options: Partial<CommitLogOptions>
  readonly #known = new Map<string, Recovered>()
  #nested = 0
  #hints = 0

  constructor(budget: CrashBudget, options: Partial<CommitLogOptions> = {}) {
    this.#budget = budget
    this.#options = options
  }

  get counts(): { readonly distinct: number; readonly nested: number; readonly hints: number } {
    return { distinct: this.#known.size, nested: this.#nested, hints: this.#hints }
  }

  async check(state: CrashState<LogClaim>): Promise<void> {
    const { disk, claim } = state
    const key = disk.fingerprint()
    let recovered = this.#known.get(key)
    if (recovered === undefined) {
      const before = disk.fork()
      recovered = await recover(disk, this.#options)
      this.#known.set(key, recovered)
      const number = this.#known.size
      if (number % this.#budget.goesOnEvery === 0) {
        await checkGoesOn(disk, recovered.found, this.#options)
      }
      if (number % this.#budget.hintsEvery === 1) await this.#withoutHints(before, recovered)
      if (number % this.#budget.nestedEvery === 1) await this.#whileRecovering(state, before)
    }
    const { found, highWatermark } = recovered
    assertHolds(found, claim, state.kind === 'kill' ? claim.written : claim.synced)
    const newest = found.at(-1)?.offset ?? -1
    assert.ok(highWatermark >= Math.min(claim.checkpointed, newest), 'the high watermark went back')
  }

  /** Deletes, zeroes or garbles each hint file: the content stays [T3]. */
  async #withoutHints(disk: SimDisk, recovered: Recovered): Promise<void> {
    for (const [label, damaged] of damagedHints(disk, this.#budget.seed)) {
      const log = await openLog(damaged.attach(), this.#options)
      assert.deepEqual(await readRecords(log), recovered.found, `content changed with ${label}`)
      this.#hints++
    }
  }

  /** A crash at each point of the recovery: what was owed before still is. */
  async #whileRecovering(state: CrashState<LogClaim>, disk: SimDisk): Promise<void> {
    const owed = state.kind === 'kill' ? state.claim.written : state.claim.synced
    const trace = await traceCrashPoints<LogClaim>({
      name: `recovery after ${state.label}`,
      disk,
      initial: { ...state.claim, written: owed },
      run: async (attached, claim) => {
        const log = await openLog(attached, this.#options)
        const last = (await readRecords(log)).at(-1)?.offset ?? -1
        // What an opened log shows counts as durable.
        claim({ ...state.claim, written: Math.max(last, owed), synced: Math.max(last, owed) })
      },
    })
    const budget = { randomCuts: 4, maxSubsets: 2, seed: this.#budget.seed }
    const counts = await checkCrashPoints(trace, budget, async ({ kind, disk: crashed, claim }) => {
      const log = await openLog(crashed.attach(), this.#options)
      const found = await readRecords(log)
      assertHolds(found, claim, kind === 'kill' ? claim.written : claim.synced)
    })
    this.#nested += counts.states
  }
}

/** The disk with one hint file damaged, for each file and damage. */
function* damagedHints(disk: SimDisk, seed: number): Generator<readonly [string, SimDisk]> {
  const random = createSimRandom(seed).of('hints')
  for (const path of disk.files(LOG_DIRECTORY)) {
    if (path.endsWith('.log')) continue
    const content = disk.content(path)
    const garbage = content.slice()
    random.fill(garbage)
    const damages = {
      zeroed: new Uint8Array(content.length),
      garbled: garbage,
      cut: content.subarray(0, content.length / 2),
    }
    for (const [damage, bytes] of Object.entries(damages)) {
      // A mark that became another number is a mark: damage below it looks like damage at rest.
      if (/^\d+$/.test(Buffer.from(bytes).toString('latin1'))) continue
      const damaged = disk.fork()
      damaged.overwrite(path, bytes)
      yield [`${path} ${damage}`, damaged]
    }
    const without = disk.fork()
    without.lose(path)
    yield [`${path} deleted`, without]
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
  if (last !== undefined) assert.ok(log.newestOffset >= last)
  assert.equal(log.oldestOffset, found[0]?.offset ?? -1)
  assert.ok(log.highWatermark <= log.newestOffset, 'the high watermark is beyond the log [R3]')
  assert.equal(log.syncedOffset, log.newestOffset)
  assert.ok(
    log.epochs.every(({ start }) => start <= log.nextOffset),
    'an epoch starts beyond [E3]',
  )
  for (const [index, record] of found.entries()) {
    const started = log.epochs.findLast(({ start }) => start <= record.offset)
    assert.equal(started?.epoch, record.epoch, `the epoch of offset ${record.offset} [E3]`)
    const next = found[index + 1]
    if (next === undefined) break
    assert.ok(next.offset > record.offset, 'offsets do not ascend')
    assert.ok(next.epoch >= record.epoch, 'epochs fall [E3]')
  }
}

/** Everything owed is there, nothing that was never appended is, and no gap is unexplained. */
export function assertHolds(found: readonly Found[], claim: LogClaim, least: number): void {
  const reasons: string[] = []
  for (const history of claim.histories) {
    const reason = departure(found, { history, claim, least })
    if (reason === undefined) return
    reasons.push(reason)
  }
  assert.fail(reasons.join('; or '))
}

/** Why the records are not the beginning of a history less what may be removed. */
function departure(
  found: readonly Found[],
  expected: {
    readonly history: readonly Found[]
    readonly claim: LogClaim
    readonly least: number
  },
): string | undefined {
  const { history, claim, least } = expected
  const last = found.at(-1)?.offset ?? -1
  const left = new Map(found.map((record) => [record.offset, record]))
  for (const known of history) {
    const record = left.get(known.offset)
    left.delete(known.offset)
    if (record === undefined) {
      if (known.offset > Math.max(last, least)) continue
      const reason = unexplained(known, found, claim)
      if (reason !== undefined) return `${reason} (owed up to ${least}, found up to ${last})`
    } else if (
      record.value !== known.value ||
      record.key !== known.key ||
      record.epoch !== known.epoch
    ) {
      return `offset ${known.offset} holds ${record.value}, not ${known.value}`
    }
  }
  const [phantom] = left.keys()
  return phantom === undefined ? undefined : `offset ${phantom} was never appended`
}

/** Why a missing record cannot have been removed by retention or compaction [K1, K2]. */
function unexplained(known: Found, found: readonly Found[], claim: LogClaim): string | undefined {
  const { offset, key } = known
  if (!claim.removable.has(offset)) return `offset ${offset} is missing`
  if (claim.removal === 'retention') {
    const kept = found.find((record) => record.offset < offset)
    return kept && `offset ${offset} was removed, but not ${kept.offset} before it`
  }
  const isSuperseded = found.some((record) => record.offset > offset && record.key === key)
  return isSuperseded ? undefined : `offset ${offset} was removed, and key ${key} with it`
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
