/** `npm run e2e`: what a server process owes to those it acknowledged, whatever happens to it. */
import { readOptions, refuse, wholeNumber } from '../scripts/command-line.ts'
import { clientsVanish } from './fault-clients.ts'
import { diskFull } from './fault-disk-full.ts'
import { indexZeroed, tailTorn } from './fault-files.ts'
import { natsKilled } from './fault-nats.ts'
import { killRounds } from './kill-rounds.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'

const values = readOptions(
  `
npm run e2e -- [options]

  --rounds N    rounds of kill -9 (50)
  --seed N      the random choices (another one each time; printed at the start)
  --rate N      messages per second offered (40000)
  --min-rate N  messages per second that must have been sent, over all rounds (20000)
  --only PART   kill, faults or clients
`,
  {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    rate: { type: 'string' },
    'min-rate': { type: 'string' },
    only: { type: 'string' },
  },
)
const { only } = values
if (only !== undefined && !['kill', 'faults', 'clients'].includes(only)) {
  refuse(`--only ${only}: expected kill, faults or clients`)
}
const rounds = wholeNumber('rounds', values.rounds, { fallback: 50, min: 1 })
const seed = wholeNumber('seed', values.seed, { fallback: Date.now() % 1_000_000 })
const ratePerSecond = wholeNumber('rate', values.rate, { fallback: 40_000, min: 1 })
const minRatePerSecond = wholeNumber('min-rate', values['min-rate'], { fallback: 20_000 })

const report = new Report()
console.log(`e2e: ${rounds} rounds, --seed ${seed}`)
if (only === undefined || only === 'kill') {
  const random = new Random(seed)
  await killRounds(report, { rounds, random, ratePerSecond, minRatePerSecond })
}
if (only === 'clients') await clientsVanish(report)
if (only === undefined || only === 'faults') {
  const random = new Random(seed)
  await tailTorn(report, random)
  await indexZeroed(report, random)
  await clientsVanish(report)
  await natsKilled(report)
  await diskFull(report)
}
report.close()
