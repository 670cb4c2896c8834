/**
 * `npm run e2e -- cluster`: what a cluster owes to those it acknowledged, whatever happens to its
 * servers. Real processes on a real nats-server.
 *
 *   --faults N    faults, over all clusters (100); CI uses fewer
 *   --servers L   sizes of clusters, separated by commas (3,5)
 *   --seed N      the random choices (printed at the start)
 *   --rate N      messages per second offered with AckPolicy ALL (6,000)
 */
import { clusterRounds } from './cluster/cluster-rounds.ts'
import { natsServerProgram } from './nats-process.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'

export type ClusterOptions = {
  readonly faults: number
  readonly servers: readonly number[]
  readonly seed: number
  readonly rate: number
}

export async function clusterSuite(options: ClusterOptions): Promise<void> {
  const report = new Report()
  console.log(`e2e cluster: ${options.faults} faults, --seed ${options.seed}`)
  if (natsServerProgram() === undefined) {
    report.skip('clusters', 'nats-server is not installed')
    report.close()
    return
  }
  const random = new Random(options.seed)
  let left = options.faults
  for (const [index, servers] of options.servers.entries()) {
    const faults = Math.ceil(left / (options.servers.length - index))
    left -= faults
    await clusterRounds(report, { servers, faults, ratePerSecond: options.rate, random })
  }
  report.close()
}
