/** Faults under load, and at the end of each cluster a look at everything that was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { expectNone, type Report, thousands } from '../report.ts'
import { type Fault, PROCESS_FAULTS } from './cluster-faults.ts'
import type { Member } from './cluster-process.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import { namespacePrefix } from './namespaces.ts'
import { ReplicatedLoad, type ReplicatedLoadOptions } from './replicated-load.ts'
import type { Tally } from './tally.ts'

export type ClusterRoundsOptions = ReplicatedLoadOptions & {
  readonly faults: number
  readonly random: Random
  readonly nextFault: () => Fault
  readonly tally: Tally
}

/** Load before each fault. */
const CALM_MS = { least: 1_000, most: 2_500 }
/** After healing: an outage that has not ended by then would not be counted. */
const AFTER_MS = 500
const HEALED_WITHIN_MS = 30_000

/** Of three faults one is of the network, where this program can do that. */
export function faultsInTurn(): () => Fault {
  const network = namespacePrefix() === undefined ? [] : NETWORK_FAULTS
  let [turn, ofProcesses, ofNetwork] = [0, 0, 0]
  return () => {
    const isNetwork = network.length > 0 && turn++ % 3 === 1
    const [faults, at] = isNetwork ? [network, ofNetwork++] : [PROCESS_FAULTS, ofProcesses++]
    const fault = faults[at % faults.length]
    if (fault === undefined) throw new Error('no faults')
    return fault
  }
}

export async function clusterRounds(report: Report, options: ClusterRoundsOptions): Promise<void> {
  const name = `${options.servers} servers`
  let load: ReplicatedLoad | undefined
  await report.test(`${name}: start, and create a stream on three of them`, async () => {
    load = await ReplicatedLoad.start(options)
    return 'in sync'
  })
  if (load === undefined) return
  const current: ReplicatedLoad = load
  try {
    for (let done = 0; done < options.faults; done += 1) {
      const fault = options.nextFault()
      await report.test(`${name}, fault ${done + 1}: ${fault.name}`, () =>
        hitWith(current, fault, options),
      )
    }
    await report.test(`${name}: everything acknowledged, on every replica`, async () => {
      const { anomalies, messages, figures } = await current.verify()
      const { watermarks } = current
      options.tally.verified({ messages, anomalies: anomalies.length, watermarks })
      expectNone(anomalies, `${figures}\n${current.cluster.output}`)
      return figures
    })
  } finally {
    await current.remove()
  }
}

async function hitWith(
  load: ReplicatedLoad,
  fault: Fault,
  { random, tally }: ClusterRoundsOptions,
): Promise<string> {
  const { cluster, targets } = load
  const began = performance.now()
  const ackedBefore = load.acked
  const outagesBefore = load.outagesMs.length
  load.begin()
  await load.firstAck()
  const calmBegan = performance.now()
  const ackedInCalm = load.acked
  await sleep(random.between(CALM_MS.least, CALM_MS.most))
  const calmRate = ((load.acked - ackedInCalm) / (performance.now() - calmBegan)) * 1_000
  const leader = (): Member => load.leaderOf(random.between(0, targets.length))
  await fault.run({ cluster, random, targets, leader, hit: (hit) => load.hit(hit) })
  const mended = performance.now()
  const healed = await cluster.healed(load.replicas, HEALED_WITHIN_MS)
  const healedMs = performance.now() - mended
  await sleep(AFTER_MS)
  await load.end()
  const seconds = (performance.now() - began) / 1_000
  const acked = load.acked - ackedBefore
  const outagesMs = load.outagesMs.slice(outagesBefore)
  const isKill = fault.isKill ?? false
  tally.fault({ name: fault.name, acked, seconds, calmRate, outagesMs, isKill, healedMs })
  const longest = outagesMs.length === 0 ? 'none' : `${thousands(Math.max(...outagesMs))} ms`
  const figures =
    `${thousands(calmRate)}/s, then the fault; ${thousands(acked)} acked in all; ` +
    `longest outage ${longest}; all in sync ${thousands(healedMs)} ms after the end of it`
  if (!healed) throw new Error(`${figures}: not healed\n${cluster.output}`)
  return figures
}
