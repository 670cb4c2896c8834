/** Three servers with three replicas beside three nats-servers with a JetStream R3 stream. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterProcess } from '../e2e/cluster/cluster-process.ts'
import { until } from '../e2e/child.ts'
import { RawConnection } from '../e2e/raw-grpc.ts'
import { type AckPolicy, encodeCreateStream } from '../e2e/raw-messages.ts'
import { type Measured, runLoad } from './driver.ts'
import { JetStreamCluster } from './jetstream-cluster.ts'
import { cpuSeconds, residentMiB } from './proc.ts'
import { rate } from './results.ts'

export type ClusterBenchOptions = {
  readonly quick: boolean
  readonly seconds: number
  readonly partitions: number
  readonly skip: readonly string[]
}

const SERVERS = 3
const VALUE_BYTES = 128
const WINDOWS = [1, 100, 1_000, 20_000]
const REPLICAS = { factor: SERVERS, minIsr: 2 }
const IDLE_SECONDS = 15
const HEALED_WITHIN_MS = 60_000
/** What this project wants to reach on a machine of two cores; see docs/benchmarks.md. */
const TARGETS = { ratePerSecond: 40_000, timesJetStream: 1.5, idleShare: 0.03, startSeconds: 30 }

type Mode = { readonly name: string; readonly policy: string; readonly acks: AckPolicy }

const MODES: readonly Mode[] = [
  { name: 'ALL, synced', policy: 'interval', acks: 'ALL' },
  { name: 'ALL, not synced', policy: 'never', acks: 'ALL' },
  { name: 'LEADER', policy: 'interval', acks: 'LEADER' },
]

type Row = { readonly name: string; readonly window: number; readonly measured: Measured }

export async function clusterBench(options: ClusterBenchOptions): Promise<void> {
  const windows = options.quick ? [20_000] : WINDOWS
  const verdicts: string[] = []
  if (!options.skip.includes('publish')) {
    const rows: Row[] = []
    for (const mode of MODES) rows.push(...(await publishOn(mode, windows, options.seconds)))
    rows.push(...(await publishOnJetStream(windows, options.seconds)))
    printRows(rows)
    verdicts.push(...publishVerdicts(rows))
  }
  if (!options.skip.includes('idle')) verdicts.push(...(await idle()))
  if (!options.skip.includes('start')) verdicts.push(await coldStart(options.partitions))
  console.log('')
  for (const verdict of verdicts) console.log(verdict)
}

async function publishOn(mode: Mode, windows: readonly number[], seconds: number): Promise<Row[]> {
  const cluster = await ClusterProcess.start({
    servers: SERVERS,
    settings: { 'streams.sync.policy': mode.policy, 'logging.level': 'warn' },
  })
  try {
    const rows: Row[] = []
    for (const window of windows) {
      const stream = `bench-${window}`
      const leader = await createStream(cluster, stream, 1)
      const pids = {
        server: cluster.members.map(({ server }) => server.pid),
        nats: cluster.nats.pid,
      }
      const { address } = cluster.member(leader).server
      const shape = { valueBytes: VALUE_BYTES, connections: 1, window, seconds }
      const task = { kind: 'publish', address, stream, ackPolicy: mode.acks, ...shape } as const
      rows.push(row(mode.name, window, await runLoad(task, pids)))
    }
    return rows
  } finally {
    await cluster.remove()
  }
}

async function publishOnJetStream(windows: readonly number[], seconds: number): Promise<Row[]> {
  const cluster = await JetStreamCluster.start()
  try {
    const rows: Row[] = []
    for (const window of windows) {
      const subject = `bench.${window}`
      const url = await cluster.createStream(`bench-${window}`, subject)
      const shape = { valueBytes: VALUE_BYTES, connections: 1, window, seconds }
      const task = { kind: 'jetstream-publish', url, subject, ...shape } as const
      rows.push(row('JetStream R3', window, await runLoad(task, { server: cluster.pids })))
    }
    return rows
  } finally {
    await cluster.stop()
  }
}

function row(name: string, window: number, measured: Measured): Row {
  console.log(
    `${name}, window ${window}: ${Math.round(rate(measured)).toLocaleString('en-US')} msg/s`,
  )
  return { name, window, measured }
}

async function createStream(
  cluster: ClusterProcess,
  stream: string,
  partitions: number,
): Promise<string> {
  const connection = await RawConnection.open(cluster.members[0]?.server.address ?? '')
  const request = encodeCreateStream(stream, stream, partitions, REPLICAS)
  await connection.unary('CreateStream', request, '60S')
  connection.close()
  let leader = ''
  const led = await until(async () => {
    const view = await cluster.view()
    const found = view?.find((it) => it.stream === stream)
    leader = found?.leader ?? ''
    return found?.isr.length === SERVERS
  }, HEALED_WITHIN_MS)
  if (!led) throw new Error(`${stream} is not in sync`)
  return leader
}

function printRows(rows: readonly Row[]): void {
  console.log(
    '\nwindow  system             msg/s      p50 ms   p99 ms   µs CPU/msg (all servers)  × JetStream',
  )
  for (const { name, window, measured } of rows) {
    const other = rows.find((it) => it.name === 'JetStream R3' && it.window === window)
    const ratio = other === undefined ? '' : (rate(measured) / rate(other.measured)).toFixed(2)
    console.log(
      [
        String(window).padEnd(6),
        name.padEnd(16),
        Math.round(rate(measured)).toLocaleString('en-US').padStart(9),
        measured.latency.p50.toFixed(3).padStart(10),
        measured.latency.p99.toFixed(3).padStart(8),
        measured.serverCpuUs.toFixed(2).padStart(10),
        ratio.padStart(25),
      ].join('  '),
    )
  }
}

function publishVerdicts(rows: readonly Row[]): string[] {
  const at = (name: string): Row | undefined =>
    rows.find((it) => it.name === name && it.window === 20_000)
  const ours = at('ALL, synced')
  const theirs = at('JetStream R3')
  if (ours === undefined || theirs === undefined) return []
  const ratio = rate(ours.measured) / rate(theirs.measured)
  const { ratePerSecond, timesJetStream } = TARGETS
  const reached = rate(ours.measured) >= ratePerSecond && ratio >= timesJetStream
  return [
    verdict(
      reached,
      `ALL with sync, window 20,000: ${Math.round(rate(ours.measured))} msg/s (≥ ${ratePerSecond}), ` +
        `${ratio.toFixed(2)} × JetStream R3 (≥ ${timesJetStream})`,
    ),
  ]
}

/** What three servers cost that have nothing to do but one replicated stream. */
async function idle(): Promise<string[]> {
  const cluster = await ClusterProcess.start({
    servers: SERVERS,
    settings: { 'logging.level': 'warn' },
  })
  try {
    await createStream(cluster, 'idle', 3)
    await sleep(5_000)
    const pids = cluster.members.map(({ server }) => server.pid)
    const before = pids.map((pid) => ({ cpu: cpuSeconds(pid), memory: residentMiB(pid) }))
    await sleep(IDLE_SECONDS * 1_000)
    return pids.map((pid, index) => {
      const share = (cpuSeconds(pid) - (before[index]?.cpu ?? 0)) / IDLE_SECONDS
      const grown = residentMiB(pid) - (before[index]?.memory ?? 0)
      return verdict(
        share <= TARGETS.idleShare,
        `idle server ${index + 1}: ${(share * 100).toFixed(1)} % of a core (≤ 3 %), ` +
          `${residentMiB(pid).toFixed(0)} MiB, ${grown.toFixed(1)} MiB grown in ${IDLE_SECONDS} s`,
      )
    })
  } finally {
    await cluster.remove()
  }
}

/** From the start of three processes with data until every partition is led and in sync. */
async function coldStart(partitions: number): Promise<string> {
  const cluster = await ClusterProcess.start({
    servers: SERVERS,
    settings: { 'logging.level': 'warn' },
  })
  try {
    const perStream = 100
    for (let made = 0; made < partitions; made += perStream) {
      await createStream(cluster, `many-${made}`, Math.min(perStream, partitions - made))
    }
    if (!(await cluster.healed(SERVERS, HEALED_WITHIN_MS))) throw new Error('never in sync')
    await Promise.all(cluster.members.map((member) => cluster.kill(member)))
    const began = performance.now()
    await Promise.all(cluster.members.map((member) => cluster.restart(member)))
    const readyMs = performance.now() - began
    const healed = await cluster.healed(SERVERS, 2 * HEALED_WITHIN_MS)
    const seconds = (performance.now() - began) / 1_000
    return verdict(
      healed && seconds <= TARGETS.startSeconds,
      `${partitions} partitions with ${SERVERS} replicas after a cold start: ready in ` +
        `${(readyMs / 1_000).toFixed(1)} s, led and in sync in ${seconds.toFixed(1)} s (≤ 30 s)`,
    )
  } finally {
    await cluster.remove()
  }
}

function verdict(reached: boolean, text: string): string {
  return `${reached ? 'reached' : 'MISSED '}  ${text}`
}
