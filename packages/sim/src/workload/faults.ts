/** The nemesis: brings each fault of a plan about, and ends it in its time. */
import { DiskError } from '@liftbridge/log'
import type { Cluster, Down } from '../cluster/cluster.ts'
import { DATA_DIR, type Machine } from '../cluster/machine.ts'
import type { DiskFault } from '../disk.ts'
import { damage } from './damage.ts'
import type { FaultAction } from './plan.ts'

export class Nemesis {
  readonly #cluster: Cluster
  /** By machine and kind: what ends a fault that is in force. */
  readonly #active = new Map<string, () => void>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  apply(action: FaultAction): void {
    this.#cluster.marks.hit(`fault.${action.kind}`)
    switch (action.kind) {
      case 'kill':
        return this.#down(action.servers, action.downMs, 'kill')
      case 'power-cut':
        return this.#down(action.servers, action.downMs, 'power-cut')
      case 'terminate':
        return this.#terminate(this.#cluster.machine(action.server), action.downMs)
      case 'wipe':
        return this.#wipe(this.#cluster.machine(action.server), action.downMs)
      case 'freeze':
        return this.#freeze(this.#cluster.machine(action.server), action.forMs)
      case 'clock':
        return this.#clock(action)
      case 'disk-full':
      case 'disk-slow':
      case 'disk-error':
        return this.#disk(action)
      case 'nats-restart':
        this.#cluster.nats.stop()
        return this.#later(action.downMs, () => this.#cluster.nats.start())
      case 'damage':
        return this.#damage(action)
      case 'forget-metadata':
        return this.#forgetMetadata(action.downMs)
      case 'cut':
        return this.#cut(action)
      case 'route':
        return this.#route(action)
      default:
        return action satisfies never
    }
  }

  /** Ends every fault and starts whatever is down. */
  healAll(): void {
    const { cluster } = { cluster: this.#cluster }
    for (const end of Array.from(this.#active.values())) end()
    this.#active.clear()
    cluster.network.heal()
    cluster.nats.start()
    for (const machine of cluster.machines) {
      machine.time.rate = 1
      machine.process.continue()
      machine.start()
    }
  }

  #later(ms: number, run: () => void): void {
    this.#cluster.scheduler.after(ms * 1_000, 'fault ends', run)
  }

  /** Begins a lasting fault; a second one of its kind on its machine replaces the first. */
  #lasting(key: string, forMs: number, end: () => void): void {
    this.#active.get(key)?.()
    this.#active.set(key, end)
    this.#later(forMs, () => {
      if (this.#active.get(key) !== end) return
      this.#active.delete(key)
      end()
    })
  }

  #down(servers: readonly number[], downMs: number, how: 'kill' | 'power-cut'): void {
    for (const server of servers) {
      const machine = this.#cluster.machine(server)
      if (!machine.up) continue
      this.#tellDown(machine, how)
      if (how === 'kill') machine.kill()
      else machine.cutPower()
      this.#later(downMs, () => machine.start())
    }
  }

  #tellDown(machine: Machine, how: Down): void {
    for (const watcher of this.#cluster.watchers) watcher.onDown?.(machine, how)
  }

  #terminate(machine: Machine, downMs: number): void {
    if (!machine.serving) return
    const { process } = machine
    void machine.stop().then(() => {
      if (machine.process === process) this.#later(downMs, () => machine.start())
    })
    // A stop that hangs ends by kill -9, as a supervisor does it.
    this.#later(30_000, () => {
      if (machine.process !== process || !process.alive) return
      this.#cluster.marks.hit('terminate.hung')
      machine.kill()
      this.#later(downMs, () => machine.start())
    })
  }

  #wipe(machine: Machine, downMs: number): void {
    if (!this.#mayWipe(machine)) {
      this.#cluster.marks.hit('wipe.skipped')
      return
    }
    this.#tellDown(machine, 'wipe')
    machine.wipe()
    this.#later(downMs, () => machine.start())
  }

  #damage(action: Extract<FaultAction, { kind: 'damage' }>): void {
    const machine = this.#cluster.machine(action.server)
    // Hints are made again, whatever they said: the log itself stays a witness [T3].
    if (action.file === 'log' && action.how !== 'zeros-behind')
      this.#cluster.damaged.add(machine.name)
    damage(machine, action)
  }

  #forgetMetadata(downMs: number): void {
    const { machines, watchers, history } = this.#cluster
    for (const machine of machines) {
      if (machine.up) machine.kill()
      for (const path of machine.disk.files(`${DATA_DIR}/raft`)) machine.disk.lose(path)
      this.#later(downMs, () => machine.start())
    }
    history.noteMetadataLost()
    for (const watcher of watchers) watcher.onMetadataLost?.()
  }

  /** One good copy of everything promised stays, or there would be nothing to check [3a, fault atlas]. */
  #mayWipe(machine: Machine): boolean {
    const { machines } = this.#cluster
    if (machines.length < 3) return false
    const others = machines.filter((one) => one !== machine)
    if (others.some((one) => !one.serving || isJoining(one))) return false
    return others.every((one) => holdsAll(one))
  }

  #freeze(machine: Machine, forMs: number): void {
    const { process } = machine
    if (!process.alive) return
    process.stop()
    this.#later(forMs, () => process.continue())
  }

  #clock(action: Extract<FaultAction, { kind: 'clock' }>): void {
    const { time } = this.#cluster.machine(action.server)
    time.wallOffsetMs += action.stepMs
    time.rate = action.rate
  }

  #disk(action: Extract<FaultAction, { kind: 'disk-full' | 'disk-slow' | 'disk-error' }>): void {
    const machine = this.#cluster.machine(action.server)
    const { disk, timing, name } = machine
    const key = `${name} ${action.kind}`
    switch (action.kind) {
      case 'disk-full': {
        const used = disk.files().reduce((sum, path) => sum + disk.content(path).length, 0)
        disk.capacityBytes = used + this.#cluster.random.of(key).integer(2_048)
        // The machine may have got another disk meanwhile: a wiped one is as full.
        this.#lasting(key, action.forMs, () => {
          machine.disk.capacityBytes = Infinity
        })
        return
      }
      case 'disk-slow': {
        const before = timing.syncUs
        timing.syncUs = action.syncUs
        this.#lasting(key, action.forMs, () => {
          timing.syncUs = Math.min(before, this.#cluster.plan.syncUs)
        })
        return
      }
      case 'disk-error': {
        disk.onOperation = (operation) => {
          const fault = this.#diskFault(action, operation)
          if (fault !== undefined && operation.kind === 'sync') {
            for (const watcher of this.#cluster.watchers)
              watcher.onSyncFailure?.(machine, operation.path)
          }
          return fault
        }
        this.#lasting(key, action.forMs, () => {
          disk.onOperation = undefined
          machine.disk.onOperation = undefined
        })
        return
      }
      default:
        action satisfies never
    }
  }

  /** Fails every third or so of the chosen operations on the streams and on the metadata. */
  #diskFault(
    action: Extract<FaultAction, { kind: 'disk-error' }>,
    operation: { readonly kind: string; readonly path: string },
  ): DiskFault | undefined {
    if (operation.kind !== action.operation || !/\/(streams|raft)\//.test(operation.path))
      return undefined
    if (!this.#cluster.random.of(`disk error ${action.server}`).chance(0.3)) return undefined
    this.#cluster.marks.hit(`disk.${action.operation}-error`)
    if (action.operation === 'sync' && action.lie) {
      return { kind: 'lose-unsynced', afterwards: 'lie' }
    }
    return { kind: 'fail', code: 'io' satisfies DiskError['code'] }
  }

  #cut(action: Extract<FaultAction, { kind: 'cut' }>): void {
    const { direction, path, forMs } = action
    const { name } = this.#cluster.machine(action.server)
    const open = this.#cluster.network.stall({ host: name, direction, path })
    this.#lasting(`${name} cut ${direction} ${path}`, forMs, open)
  }

  #route(action: Extract<FaultAction, { kind: 'route' }>): void {
    const { loss, duplication, extraDelayMs, path, forMs } = action
    const hostOf = (index: number): string => (index < 0 ? '*' : this.#cluster.machine(index).name)
    const [from, to] = [hostOf(action.from), hostOf(action.to)]
    const end = this.#cluster.network.disturb({ from, to, path, loss, duplication, extraDelayMs })
    this.#lasting(`route ${from} ${to} ${path}`, forMs, end)
  }
}

/** A server that was wiped serves before it may vote again; a file says so till then. */
function isJoining({ disk }: Machine): boolean {
  return disk.files(`${DATA_DIR}/raft`).some((path) => path.endsWith('/joining'))
}

/** Every ISR is full, as this server knows, and what it is to hold itself it does: a wiped one is in its ISR still. */
function holdsAll({ core, name }: Machine): boolean {
  const context = core?.context
  if (context === undefined) return false
  return [...context.metadata.state.streams.values()].every((stream) =>
    stream.partitions.every(({ id, isr, replicas }) => {
      if (isr.length !== replicas.length || replicas.length < 2) return false
      return !replicas.includes(name) || context.partitions.at(stream.name, id)?.proven === true
    }),
  )
}
