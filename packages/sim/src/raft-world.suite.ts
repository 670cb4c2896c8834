/** Raft groups on virtual time, simulated disks and a network with faults, for tests. */
import type { ServerId } from '@liftbridge/raft'
import { ClusterSubjects } from '@liftbridge/wire'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { silentLogger, type Logger } from '../../server/src/logging/logger.ts'
import type { StateMachine } from '../../server/src/metadata/consensus.ts'
import { openRaft, type RaftSettings } from '../../server/src/raft/open-raft.ts'
import type { RaftConsensus } from '../../server/src/raft/raft-consensus.ts'
import { omitting, type Omission } from './broken-disks.ts'
import { SimDisk } from './disk.ts'
import { cutLosingAll } from './power-cut.ts'
import { createSimRandom, type SimRandom } from './random.ts'
import type { SimBus } from './world/bus.ts'
import { SimClock } from './world/clock.ts'
import { SimNats } from './world/nats.ts'
import { Network } from './world/network.ts'
import { SimProcess } from './world/sim-process.ts'
import { Scheduler } from './world/scheduler.ts'

const SUBJECTS = new ClusterSubjects('test')

/** A machine that keeps every entry, as text, with its index. */
export class Ledger implements StateMachine<string> {
  lines: string[] = []
  restored = 0

  apply(index: number, entry: Uint8Array): string {
    const line = `${index} ${Buffer.from(entry).toString()}`
    this.lines.push(line)
    return line
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify(this.lines))
  }

  whyUnreadable(state: Uint8Array): string | undefined {
    return Buffer.from(state).toString().startsWith('[') ? undefined : 'not a ledger'
  }

  restore(_index: number, state: Uint8Array): void {
    this.lines = JSON.parse(Buffer.from(state).toString())
    this.restored += 1
  }

  /** What was proposed, without the indexes. */
  get texts(): string[] {
    return this.lines.map((line) => line.slice(line.indexOf(' ') + 1))
  }
}

export interface Opened<Result> {
  readonly consensus: RaftConsensus<Result>
  readonly process: SimProcess
  readonly bus: SimBus
}

export interface Running extends Opened<string> {
  readonly ledger: Ledger
}

export interface StartOptions {
  readonly settings?: Partial<RaftSettings>
  readonly logger?: Logger
  /** A duty that the disk leaves out, to prove that it would be noticed. */
  readonly omission?: Omission
}

const SETTINGS: RaftSettings = {
  bootstrapSeed: false,
  bootstrapPeers: [],
  maxQuorumSize: 0,
  snapshotRetain: 2,
  snapshotThreshold: 8192,
}

export class RaftWorld {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly network: Network
  readonly nats: SimNats
  readonly disks = new Map<ServerId, SimDisk>()
  readonly running = new Map<ServerId, Running>()
  #starts = 0

  constructor(seed: number | string) {
    this.random = createSimRandom(seed)
    this.network = new Network(this.random.of('network'))
    const { scheduler, random, network } = this
    this.nats = new SimNats({ scheduler, random, network })
  }

  disk(id: ServerId): SimDisk {
    let disk = this.disks.get(id)
    if (disk === undefined) {
      disk = new SimDisk()
      disk.delay = (kind) =>
        kind === 'sync' || kind === 'sync-directory'
          ? this.scheduler.sleep(200 + this.random.of(`disk ${id}`).integer(800), 'disk')
          : undefined
      this.disks.set(id, disk)
    }
    return disk
  }

  /** Opens a consensus for a machine of the caller's; it is not started. */
  async open<Result>(id: ServerId, options: StartOptions = {}): Promise<Opened<Result>> {
    const process = new SimProcess(id, this.scheduler)
    const whole = this.disk(id).attach()
    const disk = options.omission === undefined ? whole : omitting(whole, options.omission)
    const random = this.random.of(`server ${id} ${this.#starts++}`)
    const name = `${id}.raft`
    const bus = await this.nats.connect({ process, host: id, name, echo: false })
    await makeDurableDirectory(whole, '/data')
    const consensus = await openRaft<Result>({
      disk,
      directory: '/data/raft',
      bus,
      subjects: SUBJECTS,
      clock: new SimClock(this.scheduler, process),
      random,
      serverId: id,
      settings: { ...SETTINGS, ...options.settings },
      logger: options.logger ?? silentLogger,
      parameters: { snapshotIntervalMs: 1_000, trailingEntries: 10 },
    })
    return { consensus, process, bus }
  }

  start(id: ServerId, options: StartOptions = {}): Promise<Running> {
    return this.until(this.#start(id, options))
  }

  /** Starts all at once, as founders that wait for each other need it. */
  async startAll(ids: readonly ServerId[], options: StartOptions = {}): Promise<void> {
    await this.until(Promise.all(ids.map((id) => this.#start(id, options))))
  }

  async #start(id: ServerId, options: StartOptions): Promise<Running> {
    const ledger = new Ledger()
    const opened = await this.open<string>(id, options)
    await opened.consensus.start(ledger)
    const running = { ...opened, ledger }
    this.running.set(id, running)
    return running
  }

  /** kill -9. */
  kill(id: ServerId): void {
    this.running.get(id)?.process.kill()
    this.running.delete(id)
    this.disk(id).kill()
  }

  /** The machine loses its power, and with it what was not synced. */
  cutPower(id: ServerId): void {
    this.running.get(id)?.process.kill()
    this.running.delete(id)
    this.disk(id).cutPower(cutLosingAll(this.random.of(`power ${id}`)))
  }

  /** A new machine under the old name. */
  wipe(id: ServerId): void {
    this.kill(id)
    this.disks.delete(id)
  }

  /** Ends in order. */
  async stop(id: ServerId): Promise<void> {
    const { consensus, process } = this.get(id)
    this.running.delete(id)
    await this.until(consensus.handOver().then(() => consensus.close()))
    process.kill()
  }

  /** Lets the world go on until the promise is settled, or a minute has passed. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false
    const watched = promise.finally(() => (settled = true))
    watched.catch(() => {})
    const untilUs = this.scheduler.nowUs + limitMs * 1_000
    await this.scheduler.run({ untilUs, until: () => settled })
    if (!settled) throw new Error(`not settled after ${limitMs} ms`)
    return watched
  }

  async pass(ms: number): Promise<void> {
    await this.scheduler.run({ untilUs: this.scheduler.nowUs + ms * 1_000 })
  }

  async untilTrue(condition: () => boolean, limitMs = 60_000): Promise<void> {
    const untilUs = this.scheduler.nowUs + limitMs * 1_000
    const end = await this.scheduler.run({ untilUs, until: condition })
    if (end !== 'condition') throw new Error(`it did not happen within ${limitMs} ms`)
  }

  /** The one server that leads, as soon as the others that run know it. */
  async leader(limitMs = 30_000): Promise<ServerId> {
    let found: ServerId | undefined
    await this.untilTrue(() => {
      const leading = [...this.running].filter(
        ([, { consensus }]) => consensus.leadership.kind === 'here',
      )
      found = leading[0]?.[0]
      return (
        leading.length === 1 &&
        [...this.running].every(
          ([
            id,
            {
              consensus: { leadership },
            },
          ]) => id === found || (leadership.kind === 'elsewhere' && leadership.leader === found),
        )
      )
    }, limitMs)
    if (found === undefined) throw new Error('no leader')
    return found
  }

  get(id: ServerId): Running {
    const running = this.running.get(id)
    if (running === undefined) throw new Error(`${id} does not run`)
    return running
  }

  propose(id: ServerId, text: string): Promise<string> {
    return this.until(this.get(id).consensus.propose(Buffer.from(text)))
  }

  /** Waits until everybody has applied the same. */
  async agree(limitMs = 30_000): Promise<readonly string[]> {
    const all = (): string[][] => [...this.running.values()].map(({ ledger }) => ledger.lines)
    await this.untilTrue(() => new Set(all().map((lines) => lines.join('\n'))).size === 1, limitMs)
    return all()[0] ?? []
  }

  /** Cuts a server off from NATS; the result heals it. */
  isolate(id: ServerId): () => void {
    return this.network.stall({ host: id, direction: 'both', path: 'all' })
  }
}
