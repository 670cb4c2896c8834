/**
 * kill -9 under load, again and again on the same data. The page cache survives the process, so
 * whatever the sync policy, every acknowledged message must be there afterwards [D1, D4].
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { natsServerProgram } from './nats-process.ts'
import type { Random } from './random.ts'
import { expectNone, type Report, thousands } from './report.ts'
import { endRun, type LoadRun, ServerUnderLoad } from './server-under-load.ts'

export type KillOptions = {
  readonly rounds: number
  readonly random: Random
  readonly ratePerSecond: number
  /** The least messages per second that count as load, over all rounds. */
  readonly minRatePerSecond: number
}

/** Rounds on one data directory before a fresh one: logs grow, and so does every later reading. */
const ROUNDS_PER_SERVER = 10
const POLICIES = ['always', 'interval', 'never'] as const
const WINDOW = 4_000
const LOAD_MS = { least: 1_500, most: 4_000 }
/** How soon after a start the second kill of some rounds comes: in the middle of recovery. */
const RECOVERY_KILL_MS = { least: 20, most: 700 }

type Totals = { messages: number; seconds: number; slowestRecoveryMs: number }

export async function killRounds(report: Report, options: KillOptions): Promise<void> {
  const totals: Totals = { messages: 0, seconds: 0, slowestRecoveryMs: 0 }
  const perServer = Math.min(ROUNDS_PER_SERVER, Math.ceil(options.rounds / 2))
  let round = 0
  for (let servers = 0; round < options.rounds; servers++) {
    const external = servers % 2 === 1 && natsServerProgram() !== undefined
    const policy = POLICIES[round % POLICIES.length] ?? 'always'
    const load = await ServerUnderLoad.start(external, {
      settings: { 'streams.sync.policy': policy },
    })
    try {
      for (let i = 0; i < perServer && round < options.rounds; i++, round++) {
        const name = `kill -9, round ${round + 1}, ${external ? 'external' : 'embedded'} NATS`
        await report.test(name, () => killRound(load, round, options, totals))
        // A round that failed half-way may have left no server to go on with.
        if (load.server.status !== undefined) await load.server.restart()
      }
      await report.test(`everything of server ${servers + 1} once more`, async () => {
        const read = await load.verify()
        expectNone(read.anomalies, load.server.output.slice(-2_000))
        return `${thousands(read.messages)} messages read`
      })
    } finally {
      await load.remove()
    }
  }
  await report.test('the load of all rounds', async () => {
    const rate = totals.messages / totals.seconds
    const figures =
      `${thousands(totals.messages)} messages at ${thousands(rate)} per second, ` +
      `slowest restart ${thousands(totals.slowestRecoveryMs)} ms`
    if (rate < options.minRatePerSecond) throw new Error(`too little load: ${figures}`)
    return figures
  })
}

async function killRound(
  load: ServerUnderLoad,
  round: number,
  options: KillOptions,
  totals: Totals,
): Promise<string> {
  const { random } = options
  const churn = load.churnStreams()
  const run = await load.publishUntil(
    async () => {
      await sleep(random.between(LOAD_MS.least, LOAD_MS.most))
      await load.server.kill()
    },
    { ratePerSecond: options.ratePerSecond, window: WINDOW },
  )
  endRun(run)
  await churn
  const policy = POLICIES[(round + 1) % POLICIES.length] ?? 'always'
  const began = performance.now()
  if (round % 4 === 3) await killWhileStarting(load, random)
  await load.server.restart({ 'streams.sync.policy': policy })
  const recoveryMs = performance.now() - began
  const read = await load.verify()
  totals.messages += run.counts.sent
  totals.seconds += run.seconds
  totals.slowestRecoveryMs = Math.max(totals.slowestRecoveryMs, recoveryMs)
  const figures = describe(run, { recoveryMs, messages: read.messages, load })
  expectNone(read.anomalies, `${figures}\n${load.server.output.slice(-2_000)}`)
  return figures
}

async function killWhileStarting(load: ServerUnderLoad, random: Random): Promise<void> {
  load.server.spawn()
  await sleep(random.between(RECOVERY_KILL_MS.least, RECOVERY_KILL_MS.most))
  await load.server.kill()
}

export function describe(
  run: LoadRun,
  after: {
    readonly recoveryMs: number
    readonly messages: number
    readonly load: ServerUnderLoad
  },
): string {
  const { counts } = run
  const refused = [...counts.failed].map(([text, count]) => `, ${count} × "${text}"`).join('')
  return (
    `${thousands(counts.sent / run.seconds)} msg/s, ${thousands(counts.sent)} sent, acks ` +
    `LEADER ${thousands(counts.acked.LEADER)}, ALL ${thousands(counts.acked.ALL)}, ` +
    `${thousands(run.inFlight)} in flight${refused}; ready after ` +
    `${thousands(after.recoveryMs)} ms; ${thousands(after.messages)} messages and ` +
    `${after.load.streamsCreated} streams verified`
  )
}
