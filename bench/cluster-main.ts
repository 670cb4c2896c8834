/** `npm run bench -- cluster`. */
import { readOptions, wholeNumber } from '../scripts/command-line.ts'
import { clusterBench } from './cluster.ts'

const values = readOptions(
  `
npm run bench -- cluster [options]

Three servers with three replicas beside three nats-servers with a JetStream R3 stream.

  --quick           the largest window only, short
  --seconds N       how long each case is measured (4; quick 2)
  --partitions N    partitions of the cold start (1000; quick 100)
  --skip PART       publish, idle or start; repeat for several
`,
  {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    partitions: { type: 'string' },
    skip: { type: 'string', multiple: true, default: [] },
  },
)
const { quick, skip } = values
await clusterBench({
  quick,
  skip,
  seconds: wholeNumber('seconds', values.seconds, { fallback: quick ? 2 : 4, min: 1 }),
  partitions: wholeNumber('partitions', values.partitions, {
    fallback: quick ? 100 : 1_000,
    min: 1,
  }),
})
