/** A real nats-server (Debian's package) on loopback, as a child process of the test run. */
import { spawnSync } from 'node:child_process'
import { connect as connectSocket } from 'node:net'
import { Child, type ExitStatus, until } from './child.ts'
import { freePort } from './places.ts'

export type NatsOptions = {
  readonly port?: number
  /** The address to listen on; 127.0.0.1 when absent. */
  readonly host?: string
  /** Enables JetStream with its files in this folder. */
  readonly jetStreamDir?: string
}

const READY_WITHIN_MS = 10_000

/** The program's path, or undefined when no nats-server is installed. */
export function natsServerProgram(): string | undefined {
  for (const command of [process.env['NATS_SERVER'] ?? 'nats-server', '/usr/sbin/nats-server']) {
    if (spawnSync(command, ['--version']).status === 0) return command
  }
  return undefined
}

export class NatsProcess {
  readonly port: number
  readonly #options: NatsOptions
  #child: Child

  private constructor(port: number, options: NatsOptions) {
    this.port = port
    this.#options = options
    this.#child = launch(port, options)
  }

  /** Starts and waits until it accepts connections; rejects with its output otherwise. */
  static async start(options: NatsOptions = {}): Promise<NatsProcess> {
    const nats = new NatsProcess(options.port ?? (await freePort()), options)
    await nats.#ready()
    return nats
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child.pid
  }

  get output(): string {
    return this.#child.output
  }

  kill(): Promise<ExitStatus> {
    return this.#child.kill()
  }

  stop(): Promise<ExitStatus> {
    return this.#child.stop()
  }

  /** Starts again on the same port after `kill` or `stop`. */
  async restart(): Promise<void> {
    this.#child = launch(this.port, this.#options)
    await this.#ready()
  }

  async #ready(): Promise<void> {
    const up = await until(() => {
      if (this.#child.status !== undefined) throw new Error(`nats-server: ${this.#child.output}`)
      return accepts(this.port)
    }, READY_WITHIN_MS)
    if (up) return
    await this.#child.kill()
    throw new Error(`nats-server is not ready after ${READY_WITHIN_MS} ms: ${this.#child.output}`)
  }
}

function launch(port: number, options: NatsOptions): Child {
  const command = natsServerProgram()
  if (command === undefined) {
    throw new Error('nats-server is not installed (Debian: apt-get install nats-server)')
  }
  const args = ['-a', options.host ?? '127.0.0.1', '-p', String(port)]
  if (options.jetStreamDir !== undefined) args.push('-js', '-sd', options.jetStreamDir)
  return new Child({ command, args })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    // NATS speaks first: its INFO line says that it serves, not only that the port is bound.
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
