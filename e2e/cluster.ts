/**
 * `npm run e2e -- cluster`: what a cluster owes to those it acknowledged, whatever happens to its
 * servers and to the network between them. Real processes on a real nats-server.
 */
import { readOptions, refuse, wholeNumber } from '../scripts/command-line.ts'
import { clusterRounds, faultsInTurn } from './cluster/cluster-rounds.ts'
import { againInNamespaces, namespacePrefix, namespacesMissing } from './cluster/namespaces.ts'
import { Tally } from './cluster/tally.ts'
import { natsServerProgram } from './nats-process.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'

const values = readOptions(
  `
npm run e2e -- cluster [options]

  --faults N    faults, over all clusters (100)
  --servers L   sizes of the clusters, separated by commas (3,5)
  --seed N      the random choices (another one each time; printed at the start)
  --rate N      messages per second offered with AckPolicy ALL (9000)
`,
  {
    faults: { type: 'string' },
    servers: { type: 'string', default: '3,5' },
    seed: { type: 'string' },
    rate: { type: 'string' },
  },
)
const sizes = values.servers.split(',').map(Number)
if (!sizes.every((size) => Number.isInteger(size) && size >= 3 && size <= 9)) {
  refuse(`--servers ${values.servers}: expected sizes from 3 to 9, separated by commas`)
}
const faults = wholeNumber('faults', values.faults, { fallback: 100, min: 1 })
const seed = wholeNumber('seed', values.seed, { fallback: Date.now() % 1_000_000 })
const ratePerSecond = wholeNumber('rate', values.rate, { fallback: 9_000, min: 1 })

/** Then a fresh one, of the next size: a wiped server is refilled with all there is. */
const FAULTS_PER_CLUSTER = 10

async function run(): Promise<void> {
  const report = new Report()
  if (natsServerProgram() === undefined) {
    report.skip('clusters', 'nats-server is not installed')
    report.close()
    return
  }
  if (namespacePrefix() === undefined) {
    const missing = namespacesMissing()
    if (missing === undefined) {
      const args = ['cluster', ...process.argv.slice(2)]
      process.exitCode = await againInNamespaces(Math.max(...sizes), args)
      return
    }
    report.skip('faults of the network', missing)
  }
  console.log(`e2e cluster: ${faults} faults, --seed ${seed}`)
  const random = new Random(seed)
  const tally = new Tally()
  const nextFault = faultsInTurn()
  for (let left = faults, cluster = 0; left > 0; cluster += 1) {
    const share = Math.min(left, FAULTS_PER_CLUSTER)
    const servers = sizes[cluster % sizes.length] ?? 3
    await clusterRounds(report, {
      servers,
      faults: share,
      ratePerSecond,
      random,
      nextFault,
      tally,
    })
    left -= share
  }
  await report.test('all clusters', async () => tally.figures())
  report.close()
}

await run()
