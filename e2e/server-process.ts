/** A server of ours as a real child process on loopback, restartable on its data directory. */
import { writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child, type ExitStatus, until } from './child.ts'
import { freePort, removeFolder, tempFolder } from './places.ts'

export type ServerOptions = {
  /** URL of an external NATS; without it the server embeds its own. */
  readonly natsUrl?: string
  readonly port?: number
  /** The address to serve at; 127.0.0.1 when absent. */
  readonly host?: string
  /** Program and arguments that start the process in another surrounding: `ip netns exec x`. */
  readonly launcher?: readonly string[]
  readonly dataDir?: string
  /** Settings by their dotted key, written to the YAML file. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Ids of the first members of a cluster, its own among them; alone it is the seed of its own. */
  readonly peers?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Runs `dist`, which must be up to date, instead of the sources. */
  readonly compiled?: boolean
  /** Flags of node itself, for a profile: `--cpu-prof`. */
  readonly nodeArgs?: readonly string[]
}

const READY_WITHIN_MS = 20_000
/** As `npm start` has it, and the program that ships. */
const NODE_ARGS = ['--max-semi-space-size=8']
const LOOPBACK = '127.0.0.1'
const OUTPUT_SHOWN_CHARS = 3_000
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const serverFolder = join(root, 'packages/server')

export class ServerProcess {
  readonly port: number
  readonly natsPort: number
  readonly dataDir: string
  readonly #folder: string
  #options: ServerOptions
  #child: Child | undefined

  private constructor(options: ServerOptions, ports: { grpc: number; nats: number }) {
    this.port = ports.grpc
    this.natsPort = ports.nats
    this.#folder = tempFolder('server')
    this.dataDir = options.dataDir ?? join(this.#folder, 'data')
    this.#options = options
  }

  /** Starts and waits for `/readyz`; rejects with the server's output otherwise. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const server = await ServerProcess.prepare(options)
    await server.launch()
    return server
  }

  /** Chooses ports and folders without starting, for tests of the start itself. */
  static async prepare(options: ServerOptions = {}): Promise<ServerProcess> {
    const natsPort = options.natsUrl === undefined ? await freePort() : portOf(options.natsUrl)
    return new ServerProcess(options, { grpc: options.port ?? (await freePort()), nats: natsPort })
  }

  get host(): string {
    return this.#options.host ?? LOOPBACK
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  /** Where NATS clients reach the subjects of this server, embedded or not. */
  get natsUrl(): string {
    return this.#options.natsUrl ?? `nats://127.0.0.1:${this.natsPort}`
  }

  get pid(): number {
    return this.#running().pid
  }

  get output(): string {
    return this.#child?.output ?? ''
  }

  get status(): ExitStatus | undefined {
    return this.#child?.status
  }

  get exited(): Promise<ExitStatus> {
    return this.#running().exited
  }

  /** Starts the process without waiting for it. */
  spawn(): void {
    const child = this.#child
    if (child !== undefined && child.status === undefined) throw new Error('it runs already')
    const [command = process.execPath, ...before] = this.#options.launcher ?? []
    this.#child = new Child({
      command,
      args: [
        ...(before.length === 0 ? [] : [...before, process.execPath]),
        ...NODE_ARGS,
        ...(this.#options.nodeArgs ?? []),
        ...(this.#options.compiled === true
          ? [join(serverFolder, 'dist/main.js')]
          : ['--conditions=source', join(serverFolder, 'src/main.ts')]),
        '--config',
        this.#writeConfiguration(),
        '--data-dir',
        this.dataDir,
        ...this.#bootstrap(),
        ...(this.#options.args ?? []),
      ],
      ...(this.#options.env === undefined ? {} : { env: this.#options.env }),
    })
  }

  async launch(): Promise<void> {
    this.spawn()
    await this.ready()
  }

  /** Waits until the server says that it is ready; rejects when it ended or `timeoutMs` passed. */
  async ready(timeoutMs = READY_WITHIN_MS): Promise<void> {
    const child = this.#running()
    const up = await until(() => {
      if (child.status !== undefined) {
        throw new Error(`the server ended ${JSON.stringify(child.status)}:\n${tailOf(child)}`)
      }
      return answersReady(this.host, this.port)
    }, timeoutMs)
    if (up) return
    await child.kill()
    throw new Error(`the server is not ready after ${timeoutMs} ms; its output:\n${tailOf(child)}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#running().signal(signal)
  }

  kill(): Promise<ExitStatus> {
    return this.#running().kill()
  }

  /** SIGTERM, then the exit status. */
  stop(): Promise<ExitStatus> {
    return this.#running().stop()
  }

  /** Starts again on the same ports and data; `settings` are laid over the earlier ones. */
  async restart(settings: NonNullable<ServerOptions['settings']> = {}): Promise<void> {
    this.#options = { ...this.#options, settings: { ...this.#options.settings, ...settings } }
    await this.launch()
  }

  /** Kills what still runs and removes the files. */
  async remove(): Promise<void> {
    await this.#child?.kill()
    if (process.env['KEEP'] !== '1') removeFolder(this.#folder)
  }

  #running(): Child {
    if (this.#child === undefined) throw new Error('the server was not started')
    return this.#child
  }

  #bootstrap(): string[] {
    const { peers } = this.#options
    if (peers === undefined) return ['--raft-bootstrap-seed']
    return ['--raft-bootstrap-peers', peers.join(',')]
  }

  #writeConfiguration(): string {
    const settings: Record<string, string | number | boolean> = {
      listen: this.address,
      'logging.level': 'info',
    }
    let lists = ''
    if (this.#options.natsUrl === undefined) {
      settings['nats.embedded'] = true
      settings['nats.embedded.host'] = '127.0.0.1'
      settings['nats.embedded.port'] = this.natsPort
    } else {
      lists = `nats.servers: [${JSON.stringify(this.#options.natsUrl)}]\n`
    }
    const all = { ...settings, ...this.#options.settings }
    const lines = Object.entries(all).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    const file = join(this.#folder, 'liftbridge.yaml')
    writeFileSync(file, lines.join('') + lists)
    return file
  }
}

/** The end of what the process wrote: enough to see why, short enough to read. */
function tailOf(child: Child): string {
  return child.output.slice(-OUTPUT_SHOWN_CHARS)
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

function answersReady(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // A connection of its own each time: a pooled one would hold up the server's drain.
    const options = { host, port, path: '/readyz', agent: false, timeout: 2_000 }
    const request = get(options, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode === 200))
      response.once('error', () => resolve(false))
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(false))
  })
}
