/**
 * `npm run e2e`: what a server process owes to those it acknowledged, whatever happens to it.
 *
 *   --rounds N    rounds of kill -9 (50); CI uses 6
 *   --seed N      the random choices (printed at the start)
 *   --rate N      messages per second offered (40,000)
 *   --min-rate N  messages per second that must have been sent, over all rounds (20,000)
 *   --only PART   `kill`, `faults` or `clients`
 */
import { parseArgs } from 'node:util'
import { clientsVanish } from './fault-clients.ts'
import { diskFull } from './fault-disk-full.ts'
import { indexZeroed, tailTorn } from './fault-files.ts'
import { natsKilled } from './fault-nats.ts'
import { killRounds } from './kill-rounds.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '40000' },
    'min-rate': { type: 'string', default: '20000' },
    only: { type: 'string' },
  },
})

const report = new Report()
console.log(`e2e: ${values.rounds} rounds, --seed ${values.seed}`)
if (values.only === undefined || values.only === 'kill') {
  await killRounds(report, {
    rounds: Number(values.rounds),
    random: new Random(Number(values.seed)),
    ratePerSecond: Number(values.rate),
    minRatePerSecond: Number(values['min-rate']),
  })
}
if (values.only === 'clients') await clientsVanish(report)
if (values.only === undefined || values.only === 'faults') {
  const random = new Random(Number(values.seed))
  await tailTorn(report, random)
  await indexZeroed(report, random)
  await clientsVanish(report)
  await natsKilled(report)
  await diskFull(report)
}
report.close()
