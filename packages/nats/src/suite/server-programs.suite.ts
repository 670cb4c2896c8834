import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatNatsConfigProblems, parseNatsConfig } from '../conf/nats-config.ts'
import { findNatsServer, startNatsServer } from '../debian-server.suite.ts'
import { NatsServer } from '../server.ts'

/** A kind of server that the behaviour suite starts with one configuration after the other. */
export interface ServerProgram {
  readonly name: string
  /** True for the package's own server: where we chose otherwise than nats-server, that is right. */
  readonly ours: boolean
  readonly start: (conf: string) => Promise<RunningServer>
}

export interface RunningServer {
  readonly port: number
  /** Of the monitoring pages; '' without. */
  readonly monitorUrl: string
  /** Starts lame duck mode. */
  readonly retire: () => void
  readonly stop: () => Promise<void>
}

/** The text both kinds of server get: any port, this machine only. */
const ADDRESS = 'listen: "127.0.0.1:-1"\n'

export const OURS: ServerProgram = {
  name: 'our server',
  ours: true,
  start: async (conf) => {
    const result = parseNatsConfig(ADDRESS + conf, {
      file: 'nats.conf',
      readFile: (path) => readFileSync(path, 'utf8'),
      env: {},
    })
    if (result.kind === 'refused') throw new Error(formatNatsConfigProblems(result.problems))
    const server = new NatsServer(result.options)
    await server.listen()
    return {
      port: server.port,
      monitorUrl: server.monitorUrl,
      retire: () => void server.retire(),
      stop: () => server.close(),
    }
  },
}

/** Undefined where it is not installed. */
export function theirs(): ServerProgram | undefined {
  const program = findNatsServer()
  if (program === undefined) return undefined
  return { name: 'nats-server', ours: false, start: (conf) => startTheirs(program, conf) }
}

async function startTheirs(program: string, conf: string): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'nats-suite-'))
  const file = join(folder, 'nats.conf')
  await writeFile(file, `${ADDRESS}ports_file_dir: ${JSON.stringify(folder)}\n${conf}`)
  const child = await startNatsServer(program, -1, ['-c', file])
  return {
    port: child.port,
    monitorUrl: conf.includes('http_port') ? await monitorUrl(folder) : '',
    retire: () => process.kill(child.pid, 'SIGUSR2'),
    stop: async () => {
      await child.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function monitorUrl(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((one) => one.endsWith('.ports'))
  assert.ok(name !== undefined)
  const ports: { monitoring: string[] } = JSON.parse(await readFile(join(folder, name), 'utf8'))
  return ports.monitoring[0] ?? ''
}
