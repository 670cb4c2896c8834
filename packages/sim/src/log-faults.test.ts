import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DiskError, LogError, type CommitLogOptions } from '@liftbridge/log'
import { omitting, type Omission } from './broken-disks.ts'
import { assertHolds, readRecords } from './crash-log-check.ts'
import { LogActor, NOTHING_CLAIMED, openLog, prepareDisk, type LogClaim } from './crash-log.ts'
import { SimDisk, type DiskFault, type DiskOperation } from './disk.ts'
import { cutAtRandom, cutLosingAll } from './power-cut.ts'
import { createSimRandom } from './random.ts'

/** Everything a log does to its disk, each step on its own so that the next follows a failure. */
const STEPS: readonly ((actor: LogActor) => Promise<void>)[] = [
  (actor) => actor.append({ count: 2, key: 'a' }),
  (actor) => actor.sync(),
  (actor) => actor.append({ count: 3, valueBytes: 300, key: 'b' }),
  (actor) => actor.append({ count: 1, key: 'a', epoch: 2 }),
  (actor) => actor.sync(),
  (actor) => actor.checkpoint(3),
  (actor) => actor.append({ count: 2, valueBytes: 400, key: 'a' }),
  (actor) => actor.append({ count: 2, epoch: 4 }),
  (actor) => actor.sync(),
  (actor) => actor.checkpoint(9),
  (actor) => actor.compact(),
  (actor) => actor.append({ count: 1, key: 'c' }),
  (actor) => actor.sync(),
]

const isFull = process.env['CRASH_POINTS'] === 'full'

const OPTIONS: Partial<CommitLogOptions> = { compact: true }

interface Run {
  readonly storage: SimDisk
  readonly claim: LogClaim
  readonly actor: LogActor | undefined
  /** The operation that suffered the fault. */
  readonly hit: DiskOperation | undefined
}

/** Runs all steps on a disk where operation `nth` suffers a fault. */
async function runWithFault(nth: number, fault: DiskFault, omission?: Omission): Promise<Run> {
  const storage = new SimDisk()
  await prepareDisk(storage.attach())
  let hit: DiskOperation | undefined
  const first = storage.operations
  storage.onOperation = (operation) => {
    if (operation.sequence !== first + nth) return undefined
    hit = operation
    return fault
  }
  let claim: LogClaim = NOTHING_CLAIMED
  let actor: LogActor | undefined
  const attached = storage.attach()
  const disk = omission === undefined ? attached : omitting(attached, omission)
  try {
    actor = await LogActor.open(disk, (claimed) => (claim = claimed), OPTIONS)
  } catch (error) {
    expectRefusal(error)
  }
  for (const step of actor === undefined ? [] : STEPS) {
    await tryStep(actor, step, () => hit)
  }
  return { storage, claim, actor, hit }
}

async function tryStep(
  actor: LogActor | undefined,
  step: (actor: LogActor) => Promise<void>,
  hit: () => DiskOperation | undefined,
): Promise<void> {
  if (actor === undefined) return
  const { log } = actor
  const before = { newest: log.newestOffset, synced: log.syncedOffset, wasHit: hit() !== undefined }
  try {
    await step(actor)
    // Whoever fails must say so: a fenced log never claims anything again [D7].
    assert.notEqual(log.state, 'failed', 'a step succeeded on a fenced log')
  } catch (error) {
    expectRefusal(error)
    assert.ok(hit() !== undefined, 'a step failed without a fault')
    assert.ok(log.newestOffset >= before.newest || log.state === 'failed')
    if (log.state === 'failed') {
      assert.ok(log.syncedOffset <= Math.max(before.synced, log.newestOffset))
      await assert.rejects(() => log.sync(), LogError)
    } else {
      // Nothing but the operation that was hit may fail: reads go on, the next step works [T4].
      assert.ok(!before.wasHit, `a later step failed as well: ${String(error)}`)
    }
  }
}

function expectRefusal(error: unknown): void {
  if (!(error instanceof DiskError) && !(error instanceof LogError)) throw error
}

/** What is left after the run is what the log claimed. */
async function checkAfter({ storage, claim, actor }: Run): Promise<void> {
  if (actor?.log.state === 'open') {
    // The open log shows exactly what it accepted.
    assertHolds(await readRecords(actor.log), claim, claim.written)
  }
  storage.onOperation = undefined
  const killed = storage.fork()
  killed.kill()
  await checkOpened(killed, claim, actor?.log.state === 'open' ? claim.written : claim.synced)
  for (const plan of [cutLosingAll, cutAtRandom]) {
    const cut = storage.fork()
    cut.cutPower(plan(createSimRandom(1)))
    await checkOpened(cut, claim, claim.synced)
  }
}

async function checkOpened(disk: SimDisk, claim: LogClaim, least: number): Promise<void> {
  const log = await openLog(disk.attach(), OPTIONS)
  assertHolds(await readRecords(log), claim, least)
  await log.close()
}

/** Tries a fault at every operation; how often each kind of operation was hit. */
async function tryEverywhere(fault: DiskFault, omission?: Omission): Promise<Map<string, number>> {
  const hits = new Map<string, number>()
  // Two out of three; other ones for other faults.
  const left = isFull ? -1 : JSON.stringify(fault).length % 3
  for (let nth = 1; ; nth++) {
    if (nth % 3 === left) continue
    const run = await runWithFault(nth, fault, omission)
    if (run.hit === undefined) return hits
    try {
      await checkAfter(run)
    } catch (error) {
      const { kind, path } = run.hit
      const where = `fault ${JSON.stringify(fault)} at operation ${nth}: ${kind} ${path}`
      throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
    hits.set(run.hit.kind, (hits.get(run.hit.kind) ?? 0) + 1)
  }
}

describe('a log whose disk fails once, at every operation [reliability T4, D7]', () => {
  const faults: readonly DiskFault[] = [
    { kind: 'fail', code: 'io' },
    { kind: 'fail', code: 'no-space' },
    { kind: 'fail', code: 'too-many-open-files' },
    { kind: 'short', bytes: 1 },
    { kind: 'lose-unsynced', afterwards: 'lie' },
    { kind: 'lose-unsynced', afterwards: 'revert' },
  ]
  for (const fault of faults) {
    it(`${JSON.stringify(fault)}`, async () => {
      const hits = await tryEverywhere(fault)
      for (const kind of ['create', 'write', 'sync', 'rename', 'sync-directory']) {
        assert.ok((hits.get(kind) ?? 0) > 0, `no ${kind} was hit`)
      }
    })
  }

  it('would be noticed if a failed sync were taken for a success', async () => {
    const fault = { kind: 'lose-unsynced', afterwards: 'lie' } as const
    await assert.rejects(() => tryEverywhere(fault, 'sync-errors'), /operation \d+: sync /)
  })
})
