/** `npm run e2e -- scenarios`: scripted troubles of a cluster that others have fallen over. */
import { readOptions, wholeNumber } from '../scripts/command-line.ts'
import { againInNamespaces, namespacePrefix, namespacesMissing } from './cluster/namespaces.ts'
import { natsServerProgram } from './nats-process.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'
import { allKilled, allKilledMinIsr3, allKilledUnsynced } from './scenarios/all-killed.ts'
import { bitFlips } from './scenarios/bit-flips.ts'
import { garbageAtStart, garbledState, tornTails } from './scenarios/damaged-files.ts'
import { emptyDisk } from './scenarios/empty-disk.ts'
import { diskFullInCluster, readOnlyDisk, syncErrors } from './scenarios/failing-disk.ts'
import { hostileNats } from './scenarios/hostile-nats.ts'
import { kip101Loss } from './scenarios/kip-101-loss.ts'
import { lastReplica } from './scenarios/last-replica.ts'
import { membership } from './scenarios/membership.ts'
import { metadataKillLoop } from './scenarios/metadata-kill-loop.ts'
import { pauseChoreography, twoAsleep } from './scenarios/pause-choreography.ts'
import type { Scenario } from './scenarios/scenario.ts'
import { clocksApart, healthy, restartWithoutNats } from './scenarios/surroundings.ts'
import { foreignDirectory, swappedDirectories } from './scenarios/wrong-directories.ts'

const SCENARIOS: readonly Scenario[] = [
  kip101Loss,
  emptyDisk,
  lastReplica,
  allKilled,
  pauseChoreography,
  bitFlips,
  garbledState,
  metadataKillLoop,
  membership,
  tornTails,
  syncErrors,
  diskFullInCluster,
  garbageAtStart,
  healthy,
  allKilledUnsynced,
  allKilledMinIsr3,
  twoAsleep,
  readOnlyDisk,
  swappedDirectories,
  foreignDirectory,
  hostileNats,
  restartWithoutNats,
  clocksApart,
]
const SERVERS_MAX = 5

const values = readOptions(
  `
npm run e2e -- scenarios [options]

  --only TEXT   the scenarios whose name contains the text
  --seed N      the random choices (another one each time; printed with each)
`,
  { only: { type: 'string' }, seed: { type: 'string' } },
)
const seed = wholeNumber('seed', values.seed, { fallback: Date.now() % 1_000_000 })

async function runAll(): Promise<void> {
  const report = new Report()
  if (natsServerProgram() === undefined) {
    report.skip('scenarios', 'nats-server is not installed')
    report.close()
    return
  }
  const missing = namespacePrefix() === undefined ? namespacesMissing() : undefined
  if (namespacePrefix() === undefined && missing === undefined) {
    process.exitCode = await againInNamespaces(SERVERS_MAX, ['scenarios', ...process.argv.slice(2)])
    return
  }
  if (missing !== undefined) report.skip('cuts of the network', missing)
  for (const { name, demands, run } of SCENARIOS) {
    if (!name.includes(values.only ?? '')) continue
    console.log(`\n${name}, --seed ${seed}\n     demands: ${demands}`)
    await report.test(name, () => run(new Random(seed)))
  }
  report.close()
}

await runAll()
// A scenario that failed may have left a socket open, which would keep this program.
process.exit()
