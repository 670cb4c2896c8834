/** One machine of the cluster: its disk and its clocks outlive the server processes that run on it. */
import { apiMethods, ServerCore } from '@liftbridge/server'
import type { Config, LogFields, LogLevel, Random } from '@liftbridge/server'
import type { Method, MethodTable } from '@liftbridge/grpc'
import { DiskError } from '@liftbridge/log'
import { SimDisk } from '../disk.ts'
import { cutAtRandom } from '../power-cut.ts'
import type { SimRandom } from '../random.ts'
import { MachineTime, SimClock } from '../world/clock.ts'
import type { SimNats } from '../world/nats.ts'
import { SimProcess } from '../world/sim-process.ts'
import type { Scheduler } from '../world/scheduler.ts'
import type { CallTarget } from './calls.ts'
import { DiskTiming } from './disk-timing.ts'
import { SimLogger } from './sim-logger.ts'

export const DATA_DIR = '/data'

/** A server by itself takes a snapshot after minutes, and a run has ended by then. */
const SNAPSHOTS_OFTEN = { snapshotIntervalMs: 500, trailingEntries: 10 }

export interface MachineOptions {
  readonly id: string
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly nats: SimNats
  readonly config: Config
  /** See `Plan.snapshotsOften`. */
  readonly snapshotsOften: boolean
  readonly onLog: (machine: string, level: LogLevel, message: string, fields?: LogFields) => void
  /** A server that only a restart can help is about to end its process. */
  readonly onFailed: (machine: Machine) => void
  /** What a server could not survive. */
  readonly onFatal: (machine: string, error: unknown) => void
}

export class Machine implements CallTarget {
  readonly name: string
  readonly time: MachineTime = new MachineTime()
  readonly timing: DiskTiming
  readonly #options: MachineOptions
  #disk = new SimDisk()
  #process: SimProcess
  #core: ServerCore | undefined
  #methods: MethodTable = {}
  #starts = 0
  #isStarting = false
  #isStopping = false

  constructor(options: MachineOptions) {
    this.#options = options
    this.name = options.id
    this.timing = new DiskTiming(options.random.of('disk timing'))
    this.#process = new SimProcess(`${options.id}.0`, options.scheduler)
    this.#process.kill()
  }

  get process(): SimProcess {
    return this.#process
  }

  get disk(): SimDisk {
    return this.#disk
  }

  /** The server that runs here now; undefined while none has come up. */
  get core(): ServerCore | undefined {
    return this.#process.alive ? this.#core : undefined
  }

  get up(): boolean {
    return this.#process.alive
  }

  /** True when the server has started and serves. */
  get serving(): boolean {
    return this.up && !this.#isStarting && !this.#isStopping && this.#core?.context !== undefined
  }

  method(name: string): Method | undefined {
    return this.#methods[`/proto.API/${name}`]
  }

  /** Boots the server; it comes up in its own time. */
  start(): void {
    if (this.#process.alive) return
    const { id, scheduler } = this.#options
    const process = new SimProcess(`${id}.${++this.#starts}`, scheduler)
    this.#process = process
    this.#core = undefined
    this.#methods = {}
    this.#isStarting = true
    this.#isStopping = false
    this.#disk.delay = (kind) => this.timing.pause(process, kind)
    process.after(0, 'boot', () => {
      this.#boot(process).catch((error: unknown) => {
        if (!process.alive) return
        // A disk that fails is none of the server's doing: it is tried again until it works.
        if (error instanceof DiskError) this.#options.onFailed(this)
        else this.#options.onFatal(id, error)
      })
    })
  }

  /** kill -9: what was written stays. */
  kill(): void {
    this.#process.kill()
    this.#disk.kill()
  }

  /** The power goes: what was not synced survives by chance. */
  cutPower(): void {
    this.#process.kill()
    this.#disk.cutPower(cutAtRandom(this.#options.random.of(`power cut ${this.#starts}`)))
  }

  /** SIGTERM; resolves when the process has left. */
  async stop(): Promise<void> {
    const process = this.#process
    const core = this.#core
    if (!process.alive || core === undefined || this.#isStopping) return
    this.#isStopping = true
    core.beginStop()
    await core.stop()
    if (process !== this.#process || !process.alive) return
    this.kill()
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    this.kill()
    const { capacityBytes } = this.#disk
    this.#disk = new SimDisk({ capacityBytes })
  }

  async #boot(process: SimProcess): Promise<void> {
    const { id, nats, random, scheduler, config, snapshotsOften } = this.#options
    const connect = (name: string, echo: boolean) =>
      nats.connect({ process, host: id, name: `${id}.${name}`, echo })
    const [streams, publishes, raft, replication] = await Promise.all([
      connect('streams', false),
      connect('publishes', true),
      connect('raft', true),
      connect('replication', true),
    ])
    const disk = this.#disk.attach()
    // As the real server does before anything else: its data directory survives a power cut.
    await disk.makeDirectory(DATA_DIR)
    await disk.syncDirectory('/')
    const core = new ServerCore({
      config,
      ...(snapshotsOften ? { raftParameters: SNAPSHOTS_OFTEN } : {}),
      serverId: id,
      dataDir: DATA_DIR,
      disk,
      clock: new SimClock(scheduler, process, this.time),
      random: portOf(random.of(`server ${this.#starts}`)),
      logger: new SimLogger((level, message, fields) => {
        if (process.alive) this.#options.onLog(id, level, message, fields)
      }),
      buses: { streams, publishes, raft, replication },
      masterKey: undefined,
      advertised: () => ({ host: id, port: 9292 }),
      onFailed: () => {
        if (process.alive) this.#options.onFailed(this)
      },
    })
    this.#core = core
    this.#methods = apiMethods(() => core.context)
    await core.start()
    this.#isStarting = false
  }
}

function portOf(random: SimRandom): Random {
  return { next: () => random.next(), id: () => random.id() }
}
