/** NATS goes away under load and comes back: nothing acknowledged is lost, nothing is stored twice. */
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './child.ts'
import { natsServerProgram } from './nats-process.ts'
import { expectNone, type Report, thousands } from './report.ts'
import { endRun, ServerUnderLoad } from './server-under-load.ts'

const LOAD = { ratePerSecond: 30_000, window: 2_000 }
const BACK_WITHIN_MS = 20_000

export async function natsKilled(report: Report): Promise<void> {
  const name = 'NATS killed under load and back'
  if (natsServerProgram() === undefined) {
    report.skip(name, 'nats-server is not installed')
    return
  }
  await report.test(name, async () => {
    const load = await ServerUnderLoad.start(true)
    try {
      return await killNats(load)
    } finally {
      await load.remove()
    }
  })
}

async function killNats(load: ServerUnderLoad): Promise<string> {
  const outages: string[] = []
  for (let i = 0; i < 3; i++) {
    const run = await load.publishUntil(async () => {
      await sleep(1_000)
      await load.nats?.kill()
      await sleep(1_000)
    }, LOAD)
    endRun(run)
    if (load.server.status !== undefined) {
      throw new Error(`the server ended with NATS:\n${load.server.output.slice(-3_000)}`)
    }
    await load.nats?.restart()
    const began = performance.now()
    const back = await until(() => canPublish(load), BACK_WITHIN_MS)
    if (!back) throw new Error(`no publish within ${BACK_WITHIN_MS} ms of NATS being back`)
    outages.push(`${thousands(performance.now() - began)} ms`)
  }
  const read = await load.verify()
  expectNone(read.anomalies, load.server.output.slice(-3_000))
  await load.server.kill()
  await load.server.restart()
  const again = await load.verify()
  expectNone(again.anomalies, load.server.output.slice(-3_000))
  return `publishes again after ${outages.join(', ')}; ${thousands(again.messages)} verified`
}

/** A short load, recorded like all else: does anything get its ack? */
async function canPublish(load: ServerUnderLoad): Promise<boolean> {
  const run = await load.publishUntil(() => sleep(200), { ratePerSecond: 2_000, window: 200 })
  endRun(run)
  return run.counts.acked.LEADER + run.counts.acked.ALL > 0
}
