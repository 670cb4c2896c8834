/**
 * `npm run bench -- nats`: our NATS server beside nats-server, both on one core, one load
 * generator on another.
 *
 *   --quick          128 bytes only, short
 *   --only TEXT      cases whose name contains TEXT; repeat for several
 *   --server NAME    ours or theirs (both)
 *   --seconds N      how long each case is measured (3; quick 2)
 *   --node-arg ARG   an argument for our server's node, for example --cpu-prof
 *
 * The column "µs/msg" is CPU of the server per message delivered: it holds on a busy machine too.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus, release } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { natsServerProgram } from '../e2e/nats-process.ts'
import { type NatsCase, natsCaseName, natsCases, type NatsLoadReport } from './nats-cases.ts'
import { cpuSeconds, peakResidentMiB, resetPeak, residentMiB } from './proc.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    server: { type: 'string' },
    seconds: { type: 'string' },
    'node-arg': { type: 'string', multiple: true, default: [] },
  },
})

const folder = dirname(fileURLToPath(import.meta.url))
/** Keeps a process on one core, where it is installed. */
const TASKSET = 'taskset'
const pinning = spawnSync(TASKSET, ['--version']).status === 0 && cpus().length > 1

interface Server {
  readonly child: ChildProcess
  readonly port: number
}

type ServerName = 'ours' | 'theirs'

const TITLES: Readonly<Record<ServerName, string>> = { ours: 'our server', theirs: 'nats-server' }

async function startOurs(): Promise<Server> {
  const child = fork(join(folder, 'nats-server-main.ts'), {
    execArgv: ['--conditions=source', '--max-semi-space-size=16', ...values['node-arg']],
  })
  const port = await new Promise<number>((resolve) => {
    child.once('message', (message) => resolve(Number(message)))
  })
  pin(child, 0)
  return { child, port }
}

async function startTheirs(program: string): Promise<Server> {
  const child = spawn(program, ['-a', '127.0.0.1', '-p', '-1'], {
    env: { ...process.env, GOMAXPROCS: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let port = 0
  for await (const line of createInterface({ input: child.stderr })) {
    port = Number(/client connections on [^ ]*:(\d+)/.exec(line)?.[1] ?? port)
    if (line.includes('Server is ready')) break
  }
  child.stderr.resume()
  pin(child, 0)
  return { child, port }
}

/** All threads of a process on one core. */
function pin(child: ChildProcess, core: number): void {
  if (pinning) spawnSync(TASKSET, ['-a', '-p', '-c', String(core), String(child.pid)])
}

interface Figures {
  readonly perSecond: number
  readonly cpuUs: number
  readonly peakMiB: number
  /** Peak above what the server had before the load. */
  readonly grewMiB: number
  /** What is left of that at the end of the load: a stuck subscriber is cut before. */
  readonly leftMiB: number
}

function measure(server: Server, one: NatsCase): Promise<Figures> {
  const pid = server.child.pid ?? 0
  return new Promise((resolve, reject) => {
    const load = fork(join(folder, 'nats-plain-load.ts'), { execArgv: ['--conditions=source'] })
    pin(load, 1)
    resetPeak(pid)
    const restingMiB = peakResidentMiB(pid)
    let cpuBefore = 0
    load.on('message', (report: NatsLoadReport) => {
      if (report.kind === 'begin') {
        cpuBefore = cpuSeconds(pid)
        return
      }
      if (report.kind === 'error') reject(new Error(report.message))
      else {
        const peakMiB = peakResidentMiB(pid)
        resolve({
          perSecond: report.messages / report.seconds,
          cpuUs: ((cpuSeconds(pid) - cpuBefore) * 1e6) / Math.max(1, report.messages),
          peakMiB,
          grewMiB: peakMiB - restingMiB,
          leftMiB: Math.max(0, residentMiB(pid) - restingMiB),
        })
      }
      load.disconnect()
    })
    load.send({ port: server.port, one })
  })
}

function start(name: ServerName, program: string | undefined): Promise<Server> {
  return name === 'ours' || program === undefined ? startOurs() : startTheirs(program)
}

function table(results: ReadonlyMap<string, ReadonlyMap<ServerName, Figures>>): string {
  const rows = [
    ['case', 'server', 'msg/s', 'µs/msg', 'peak MiB', 'grew MiB', 'left MiB', '× msg/s', '× CPU'],
  ]
  for (const [name, byServer] of results) {
    const base = byServer.get('theirs')
    for (const [server, figures] of byServer) {
      rows.push([
        name,
        TITLES[server],
        Math.round(figures.perSecond).toLocaleString('en-US'),
        figures.cpuUs.toFixed(2),
        figures.peakMiB.toFixed(0),
        figures.grewMiB.toFixed(0),
        figures.leftMiB.toFixed(0),
        base === undefined ? '-' : (figures.perSecond / base.perSecond).toFixed(2),
        base === undefined ? '-' : (base.cpuUs / figures.cpuUs).toFixed(2),
      ])
    }
  }
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

const program = natsServerProgram()
const servers = (['theirs', 'ours'] as const).filter(
  (name) =>
    (values.server === undefined || values.server === name) &&
    (name === 'ours' || program !== undefined),
)
const cases = natsCases({
  quick: values.quick,
  seconds: Number(values.seconds ?? (values.quick ? 2 : 3)),
}).filter(
  (one) => values.only.length === 0 || values.only.some((text) => natsCaseName(one).includes(text)),
)
const results = new Map<string, Map<ServerName, Figures>>()
for (const one of cases) {
  const byServer = new Map<ServerName, Figures>()
  results.set(natsCaseName(one), byServer)
  // A server of its own for each case, and both right after another: the machine is the same.
  for (const name of servers) {
    const server = await start(name, program)
    try {
      const figures = await measure(server, one)
      byServer.set(name, figures)
      const rate = Math.round(figures.perSecond).toLocaleString('en-US')
      console.log(`${TITLES[name]}, ${natsCaseName(one)}: ${rate} msg/s`)
    } finally {
      // Ours ends by itself, so that it can still write a profile.
      if (server.child.connected) server.child.disconnect()
      else server.child.kill()
    }
  }
}

console.log(`\n${table(results)}\n`)
const target = results.get('publish 1→1, 128 B')
const [ours, base] = [target?.get('ours'), target?.get('theirs')]
if (ours !== undefined && base !== undefined) {
  const ratio = ours.perSecond / base.perSecond
  console.log(`1→1 at 128 B: ${ratio.toFixed(2)} × nats-server (target 0.5)`)
}
const idleMiB = results.get('10000 idle connections')?.get('ours')?.peakMiB
if (idleMiB !== undefined)
  console.log(`10,000 idle connections: ${idleMiB.toFixed(0)} MiB (target 400)`)
const version = spawnSync(program ?? 'true', ['--version'], { encoding: 'utf8' }).stdout.trim()
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, kernel: release(), arch: arch() }
const file = join(folder, 'results', 'nats.json')
mkdirSync(dirname(file), { recursive: true })
const plain = Object.fromEntries([...results].map(([name, by]) => [name, Object.fromEntries(by)]))
writeFileSync(
  file,
  `${JSON.stringify({ machine, pinned: pinning, node: process.version, natsServer: version, results: plain }, undefined, 2)}\n`,
)
console.log(`\nfigures: ${file}`)
