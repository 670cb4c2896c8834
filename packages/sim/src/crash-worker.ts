import { parentPort, Worker } from 'node:worker_threads'
import { omitting, type Omission } from './broken-disks.ts'
import { RecoveryCheck } from './crash-log-check.ts'
import { NOTHING_CLAIMED, prepareDisk, type LogClaim } from './crash-log.ts'
import { checkCrashPoints, traceCrashPoints, type CrashBudget } from './crash-points.ts'
import { LOG_SCENARIOS } from './crash-scenarios.ts'
import { SimDisk } from './disk.ts'

/**
 * Explores log scenarios on a thread of its own. The test runner watches every promise of its
 * thread, and recovery is nothing but promises: there it takes six times as long.
 */
export interface CrashReport {
  readonly points: number
  readonly states: number
  /** Different disks among the states. */
  readonly distinct: number
  /** Crashes during a recovery. */
  readonly nested: number
  /** Recoveries with a hint file deleted, zeroed or garbled. */
  readonly hints: number
}

export interface CrashRequest {
  readonly name: string
  readonly budget: CrashBudget
  /** A duty that the disk leaves out, to prove that it would be noticed. */
  readonly omission?: Omission
}

type Reply =
  | { readonly kind: 'report'; readonly report: CrashReport }
  | { readonly kind: 'failure'; readonly text: string }

/** Explores one scenario; fails with the text of the first broken rule. */
async function exploreScenario(request: CrashRequest): Promise<CrashReport> {
  const scenario = LOG_SCENARIOS.find(({ name }) => name === request.name)
  if (scenario === undefined) throw new Error(`no such scenario: ${request.name}`)
  const disk = new SimDisk()
  await prepareDisk(disk.attach())
  const { omission } = request
  const trace = await traceCrashPoints<LogClaim>({
    name: scenario.name,
    disk,
    initial: NOTHING_CLAIMED,
    run: (attached, claim) =>
      scenario.run(omission === undefined ? attached : omitting(attached, omission), claim),
  })
  const recovery = new RecoveryCheck(request.budget, scenario.options)
  const counts = await checkCrashPoints(trace, request.budget, (state) => recovery.check(state))
  return { ...counts, ...recovery.counts }
}

/** The same on another thread. */
export async function exploreElsewhere(request: CrashRequest): Promise<CrashReport> {
  const worker = new Worker(new URL(import.meta.url))
  try {
    const reply = await new Promise<Reply>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.postMessage(request)
    })
    if (reply.kind === 'failure') throw new Error(reply.text)
    return reply.report
  } finally {
    await worker.terminate()
  }
}

parentPort?.once('message', (request: CrashRequest) => {
  exploreScenario(request).then(
    (report) => parentPort?.postMessage({ kind: 'report', report } satisfies Reply),
    (error: unknown) => {
      const text = error instanceof Error ? error.message : String(error)
      parentPort?.postMessage({ kind: 'failure', text } satisfies Reply)
    },
  )
})
