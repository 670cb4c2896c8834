/** Three nats-servers with JetStream, as one cluster. */
import { join } from 'node:path'
import { jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Child, until } from '../e2e/child.ts'
import { natsServerProgram } from '../e2e/nats-process.ts'
import { freePort, removeFolder, tempFolder } from '../e2e/places.ts'

const SERVERS = 3
const READY_WITHIN_MS = 20_000

export class JetStreamCluster {
  readonly pids: readonly number[]
  readonly #servers: readonly { readonly name: string; readonly port: number }[]
  readonly #children: readonly Child[]
  readonly #folder: string

  private constructor(
    servers: readonly { readonly name: string; readonly port: number }[],
    children: readonly Child[],
    folder: string,
  ) {
    this.#servers = servers
    this.#children = children
    this.#folder = folder
    this.pids = children.map(({ pid }) => pid)
  }

  static async start(): Promise<JetStreamCluster> {
    const command = natsServerProgram()
    if (command === undefined) throw new Error('nats-server is not installed')
    const folder = tempFolder('jetstream-cluster')
    const servers = []
    const routes: number[] = []
    for (let number = 1; number <= SERVERS; number += 1) {
      servers.push({ name: `n${number}`, port: await freePort() })
      routes.push(await freePort())
    }
    const peers = routes.map((port) => `nats://127.0.0.1:${port}`)
    const children = servers.map(({ name, port }, index) => {
      const listen = ['-a', '127.0.0.1', '-p', String(port), '-n', name]
      const store = ['-js', '-sd', join(folder, name)]
      const cluster = ['--cluster_name', 'bench', '--cluster', peers[index] ?? '']
      return new Child({
        command,
        args: [...listen, ...store, ...cluster, '--routes', peers.join(',')],
      })
    })
    return new JetStreamCluster(servers, children, folder)
  }

  /** Creates a stream with three replicas; the URL of the server that leads it. */
  async createStream(name: string, subject: string): Promise<string> {
    let leader: string | undefined
    let reason: unknown
    const created = await until(async () => {
      try {
        leader = await this.#tryCreate(name, subject)
      } catch (error) {
        reason = error
      }
      return leader !== undefined
    }, READY_WITHIN_MS)
    const server = this.#servers.find((it) => it.name === leader)
    if (!created || server === undefined) throw new Error(`no stream: ${String(reason)}`)
    return `nats://127.0.0.1:${server.port}`
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()))
    removeFolder(this.#folder)
  }

  async #tryCreate(name: string, subject: string): Promise<string | undefined> {
    const servers = this.#servers.map(({ port }) => `127.0.0.1:${port}`)
    const connection = await connect({ servers, timeout: 2_000 })
    try {
      const manager = await jetstreamManager(connection, { timeout: 2_000 })
      const stream = {
        name,
        subjects: [subject],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        num_replicas: SERVERS,
      }
      const { cluster } = await manager.streams.add(stream)
      return cluster?.leader
    } finally {
      await connection.close()
    }
  }
}
