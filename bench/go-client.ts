/**
 * `npm run bench -- go`: what a program waits for that publishes one message after the other with
 * the published Go client, beside a NATS request and its answer and a publish to JetStream.
 */
import { spawn, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NatsProcess } from '../e2e/nats-process.ts'
import { removeFolder, tempFolder } from '../e2e/places.ts'
import { ServerProcess } from '../e2e/server-process.ts'
import { refuse } from '../scripts/command-line.ts'

/** The target of docs/benchmarks.md for a synchronous publish: p50 in NATS round trips. */
const ROUND_TRIPS_MAX = 1.5

type Figures = {
  readonly Name: string
  readonly Count: number
  readonly P50: number
  readonly P99: number
}

function build(folder: string): string {
  const program = join(folder, 'bench')
  const built = spawnSync('go', ['build', '-o', program, '.'], {
    cwd: join(dirname(fileURLToPath(import.meta.url)), 'go'),
    encoding: 'utf8',
    timeout: 300_000,
  })
  if (built.status !== 0) refuse(`the Go program does not build: ${built.stderr ?? built.error}`)
  return program
}

function run(program: string, env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], {
      timeout: 120_000,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`the Go program ended with ${code}`)),
    )
  })
}

const folder = tempFolder('go-bench')
const program = build(folder)
const nats = await NatsProcess.start()
const jetStream = await NatsProcess.start({ jetStreamDir: join(folder, 'jetstream') })
const server = await ServerProcess.start({
  natsUrl: nats.url,
  settings: { 'logging.level': 'warn' },
})
try {
  const output = await run(program, {
    LIFTBRIDGE_ADDRESS: server.address,
    NATS_URL: nats.url,
    JETSTREAM_URL: jetStream.url,
  })
  const figures: readonly Figures[] = JSON.parse(output)
  const roundTripMs = figures.find(({ Name }) => Name === 'NATS request')?.P50 ?? Number.NaN
  for (const { Name, Count, P50, P99 } of figures) {
    const trips = (P50 / roundTripMs).toFixed(2)
    console.log(
      `${Name.padEnd(22)} p50 ${P50.toFixed(3)} ms, p99 ${P99.toFixed(3)} ms, ${trips} NATS round trips (${Count} calls)`,
    )
  }
  const ours = figures.find(({ Name }) => Name === 'go-liftbridge Publish')?.P50 ?? Number.NaN
  const reached = ours <= ROUND_TRIPS_MAX * roundTripMs
  console.log(
    `${reached ? 'reached' : 'MISSED '}  a synchronous publish within ${ROUND_TRIPS_MAX} NATS round trips (p50)`,
  )
} finally {
  await server.stop()
  await server.remove()
  await nats.kill()
  await jetStream.kill()
  removeFolder(folder)
}
