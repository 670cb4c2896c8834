/** Servers as real processes on one real nats-server, each restartable on its data. */
import { rmSync } from 'node:fs'
import { fromBinary, api } from '@liftbridge/wire'
import { until } from '../child.ts'
import { NatsProcess } from '../nats-process.ts'
import { RawConnection } from '../raw-grpc.ts'
import { ServerProcess } from '../server-process.ts'
import { namespacePrefix } from './namespaces.ts'
import { Network } from './network.ts'

export type Member = {
  readonly id: string
  /** Counted from 1. */
  readonly number: number
  readonly server: ServerProcess
  /** Whether clients turn to it: it runs, and is not cut off. */
  up: boolean
  /** How often its process has been started. */
  runs: number
}

export type PartitionView = {
  readonly stream: string
  readonly partition: number
  readonly leader: string
  readonly replicas: readonly string[]
  readonly isr: readonly string[]
  /** Of the replica on the server that was asked; -1 when it does not run there. */
  readonly highWatermark: number
  readonly newest: number
}

export type ClusterOptions = {
  readonly servers: number
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Where a server, counted from 1, has its data, when not in its own folder. */
  readonly dataDirOf?: (server: number) => string | undefined
  /** Variables of a server's environment, beside those of this program. */
  readonly envOf?: (server: number) => Readonly<Record<string, string>>
}

/** Leaders are reported after 2 s, as the figures of docs/testing.md assume. */
const SETTINGS = {
  'clustering.replica.max.leader.timeout': '2s',
  'clustering.replica.max.lag.time': '5s',
  'clustering.replica.fetch.timeout': '1s',
  'logging.level': 'info',
}
/** Within the hub's namespace, where nobody but the cluster's own servers comes in. */
const EVERY_ADDRESS = '0.0.0.0'
const READY_WITHIN_MS = 60_000
const CALL_TIMEOUT = '2S'

export class ClusterProcess {
  readonly members: readonly Member[]
  readonly nats: NatsProcess
  /** Undefined when this program does not run in namespaces of its own. */
  readonly network: Network | undefined

  private constructor(nats: NatsProcess, members: readonly Member[], network: Network | undefined) {
    this.nats = nats
    this.members = members
    this.network = network
  }

  static async start(options: ClusterOptions): Promise<ClusterProcess> {
    const { servers, settings = {} } = options
    const host = namespacePrefix() === undefined ? '127.0.0.1' : EVERY_ADDRESS
    const nats = await NatsProcess.start({ host })
    const network = Network.here(() => nats.port)
    const peers = Array.from({ length: servers }, (_, number) => `s${number + 1}`)
    const members: Member[] = []
    for (const [index, id] of peers.entries()) {
      const number = index + 1
      network?.mend(number)
      const dataDir = options.dataDirOf?.(number)
      const server = await ServerProcess.prepare({
        ...(network === undefined
          ? { natsUrl: nats.url }
          : {
              natsUrl: network.natsUrl(number),
              host: network.host(number),
              launcher: network.launcher(number),
            }),
        peers,
        ...(options.envOf === undefined ? {} : { env: options.envOf(number) }),
        ...(dataDir === undefined ? {} : { dataDir }),
        settings: { ...SETTINGS, ...settings, 'clustering.server.id': id },
      })
      server.spawn()
      members.push({ id, number, server, up: true, runs: 1 })
    }
    const cluster = new ClusterProcess(nats, members, network)
    try {
      await Promise.all(members.map(({ server }) => server.ready(READY_WITHIN_MS)))
    } catch (error) {
      await cluster.remove()
      throw error
    }
    return cluster
  }

  member(id: string): Member {
    const found = this.members.find((member) => member.id === id)
    if (found === undefined) throw new Error(`no server ${id}`)
    return found
  }

  async kill(member: Member): Promise<void> {
    member.up = false
    await member.server.kill()
  }

  /** Starts its process without waiting for it. */
  spawn(member: Member): void {
    member.server.spawn()
    member.up = true
    member.runs += 1
  }

  async restart(member: Member): Promise<void> {
    this.spawn(member)
    await this.ready(member)
  }

  /** Until it says so in `/readyz`; rejects when it ended, or is not within a minute. */
  ready(member: Member): Promise<void> {
    return member.server.ready(READY_WITHIN_MS)
  }

  /** What the server forgets comes back from the others. */
  wipe(member: Member): void {
    if (member.up) throw new Error(`${member.id} still runs`)
    rmSync(member.server.dataDir, { recursive: true, force: true })
  }

  /** Partitions as any server that answers sees them; undefined when none does. */
  async view(): Promise<readonly PartitionView[] | undefined> {
    for (const { server, up } of this.members) {
      if (!up) continue
      const view = await viewOf(server)
      if (view !== undefined) return view
    }
    return undefined
  }

  /** True when every server says that all replicas of all partitions are in sync. */
  healed(replicas: number, timeoutMs: number): Promise<boolean> {
    return until(async () => {
      for (const { server } of this.members) {
        const view = await viewOf(server)
        const whole = view?.every(({ isr }) => isr.length === replicas)
        if (view === undefined || view.length === 0 || !whole) return false
      }
      return true
    }, timeoutMs)
  }

  /** Ends everything and removes its files. */
  async remove(): Promise<void> {
    for (const { server } of this.members) await server.remove()
    await this.nats.kill()
  }

  /** The last lines of every server, for a report. */
  get output(): string {
    const shown = 3_000
    return this.members
      .map(({ id, server }) => `--- ${id}\n${server.output.slice(-shown)}`)
      .join('\n')
  }
}

export async function viewOf(server: ServerProcess): Promise<readonly PartitionView[] | undefined> {
  let connection: RawConnection | undefined
  try {
    connection = await RawConnection.open(server.address)
    const reply = await connection.unary('FetchMetadata', Buffer.alloc(0), CALL_TIMEOUT)
    const { streamMetadata } = fromBinary(api.FetchMetadataResponseSchema, reply)
    return streamMetadata.flatMap(({ name: stream, partitions }) =>
      Object.values(partitions).map(({ id: partition, leader, replicas, isr, ...log }) => {
        const [highWatermark, newest] = [Number(log.highWatermark), Number(log.newestOffset)]
        return { stream, partition, leader, replicas, isr, highWatermark, newest }
      }),
    )
  } catch {
    return undefined
  } finally {
    connection?.close()
  }
}
