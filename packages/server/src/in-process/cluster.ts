/** A cluster in one process: for tests of applications, and for the demo. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NatsServer } from '@liftbridge/nats'
import { configFrom, type Settings } from '../config/from-settings.ts'
import { formatHostPort, type HostPort } from '../config/addresses.ts'
import { silentLogger, type Logger } from '../logging/logger.ts'
import { startServer, type LiftbridgeServer } from '../server.ts'
import { KillSwitch } from './killable.ts'

export type ClusterOptions = {
  /** How many; an odd number. Default 3. */
  readonly servers?: number
  /** Where their data goes; a temporary folder that `stop` removes when absent. */
  readonly directory?: string
  /** Settings of every server, by their key, as in the configuration file. */
  readonly settings?: Settings
  /** Default: nothing is logged. */
  readonly logger?: Logger
}

/** Servers on one embedded NATS; ids are `server-1`, `server-2`, … */
export interface Cluster {
  readonly ids: readonly string[]
  /** For NATS clients. */
  readonly natsUrl: string
  /** Where the server's API is; the same after a restart. */
  address(id: string): HostPort
  /** The server as it runs; undefined after `kill`. */
  server(id: string): LiftbridgeServer | undefined
  /** Ends a server at once, as kill -9 would; its data stays. */
  kill(id: string): Promise<void>
  /** Starts it again on its data and its port. */
  restart(id: string): Promise<void>
  /** Stops all that run, and removes the temporary folder. */
  stop(): Promise<void>
}

const SERVERS_DEFAULT = 3
const VERSION = 'in-process'

/**
 * Starts a cluster and resolves when all of its servers serve. Ports are free ones. Rejects with
 * the reason when one cannot start; nothing is left running then.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new InProcessCluster(options)
  try {
    await cluster.start()
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

class InProcessCluster implements Cluster {
  readonly ids: readonly string[]
  readonly #options: ClusterOptions
  readonly #nats = new NatsServer({ port: -1 })
  readonly #addresses = new Map<string, HostPort>()
  readonly #running = new Map<string, LiftbridgeServer>()
  #directory = ''

  constructor(options: ClusterOptions) {
    this.#options = options
    const count = options.servers ?? SERVERS_DEFAULT
    this.ids = Array.from({ length: count }, (_, number) => `server-${number + 1}`)
  }

  get natsUrl(): string {
    return this.#nats.url
  }

  async start(): Promise<void> {
    this.#directory =
      this.#options.directory ?? (await mkdtemp(join(tmpdir(), 'liftbridge-cluster-')))
    await this.#nats.listen()
    // Together, since a majority of them has to be there before any can serve.
    await Promise.all(this.ids.map((id) => this.#start(id)))
  }

  address(id: string): HostPort {
    const address = this.#addresses.get(id)
    if (!address)
      throw new Error(`there is no server ${id}: the cluster has ${this.ids.join(', ')}`)
    return address
  }

  server(id: string): LiftbridgeServer | undefined {
    return this.#running.get(id)
  }

  async kill(id: string): Promise<void> {
    const server = this.#running.get(id)
    this.#running.delete(id)
    await server?.kill()
  }

  async restart(id: string): Promise<void> {
    const server = this.#running.get(id)
    this.#running.delete(id)
    await server?.stop()
    await this.#start(id)
  }

  async stop(): Promise<void> {
    const servers = [...this.#running.values()]
    this.#running.clear()
    await Promise.all(servers.map((server) => server.stop()))
    await this.#nats.close()
    if (this.#options.directory === undefined && this.#directory !== '') {
      await rm(this.#directory, { recursive: true, force: true })
    }
  }

  async #start(id: string): Promise<void> {
    const bound = this.#addresses.get(id)
    const server = await startServer({
      config: configFrom({
        listen: bound ? formatHostPort(bound) : '127.0.0.1:0',
        'data.dir': join(this.#directory, id),
        'clustering.server.id': id,
        'clustering.raft.bootstrap.peers': this.ids,
        ...this.#options.settings,
      }),
      logger: (this.#options.logger ?? silentLogger).child({ server: id }),
      version: VERSION,
      nats: this.#nats,
      killSwitch: new KillSwitch(),
    })
    this.#addresses.set(id, server.address)
    this.#running.set(id, server)
  }
}
