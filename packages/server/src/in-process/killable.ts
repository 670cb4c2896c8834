/**
 * Ports that can be cut off at once, as `kill -9` cuts a process off from its machine: nothing that
 * was under way goes on, no timer fires, no message leaves or arrives, no byte is written. What
 * had been written stays. So a server dies alone in a process that it shares with others.
 */
import type { Disk, DiskFile } from '@liftbridge/log'
import { BusError, type Bus, type Buses } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger, LogFields, LogLevel } from '../logging/logger.ts'

/** Never settles: whoever waits for a dead server's port waits for ever, and does no harm. */
const never = <Value>(): Promise<Value> => new Promise<Value>(() => undefined)

export class KillSwitch {
  #dead = false
  readonly #timers = new Set<Timer>()
  readonly #files = new Set<DiskFile>()
  readonly #buses: Bus[] = []

  get dead(): boolean {
    return this.#dead
  }

  /** Cuts everything off and gives files and connections back to the system. */
  async kill(): Promise<void> {
    this.#dead = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    await Promise.all([...this.#files].map((file) => file.close()))
    await Promise.all(this.#buses.map((bus) => bus.close()))
  }

  clock(clock: Clock): Clock {
    return {
      wallNs: () => clock.wallNs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (ms, callback) => {
        if (this.#dead) return { cancel: () => undefined }
        const timer = clock.after(ms, () => {
          this.#timers.delete(timer)
          if (!this.#dead) callback()
        })
        this.#timers.add(timer)
        return {
          cancel: () => {
            this.#timers.delete(timer)
            timer.cancel()
          },
        }
      },
    }
  }

  disk(disk: Disk): Disk {
    return {
      open: (path, options) => this.#while(async () => this.#file(await disk.open(path, options))),
      makeDirectory: (path) => this.#while(() => disk.makeDirectory(path)),
      list: (path) => this.#while(() => disk.list(path)),
      rename: (from, to) => this.#while(() => disk.rename(from, to)),
      remove: (path) => this.#while(() => disk.remove(path)),
      removeTree: (path) => this.#while(() => disk.removeTree(path)),
      syncDirectory: (path) => this.#while(() => disk.syncDirectory(path)),
    }
  }

  buses(buses: Buses): Buses {
    return {
      streams: this.#bus(buses.streams),
      publishes: this.#bus(buses.publishes),
      raft: this.#bus(buses.raft),
      replication: this.#bus(buses.replication),
    }
  }

  logger(logger: Logger): Logger {
    const tell =
      (level: LogLevel) =>
      (message: string, fields?: LogFields): void => {
        if (!this.#dead) logger[level](message, fields)
      }
    return {
      debug: tell('debug'),
      info: tell('info'),
      warn: tell('warn'),
      error: tell('error'),
      limited: (...call) => {
        if (!this.#dead) logger.limited(...call)
      },
      child: (fields) => this.logger(logger.child(fields)),
    }
  }

  /** What had begun when the server died may have happened; nobody hears of it. */
  async #while<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#dead) return never()
    try {
      const value = await work()
      return this.#dead ? await never<Value>() : value
    } catch (error) {
      if (this.#dead) return never()
      throw error
    }
  }

  #file(file: DiskFile): DiskFile {
    this.#files.add(file)
    return {
      read: (...where) => this.#while(() => file.read(...where)),
      write: (...what) => this.#while(() => file.write(...what)),
      writeSync: (...what) => {
        // The caller is dead and does not know: it believes its last write.
        return this.#dead ? what[2] : file.writeSync(...what)
      },
      truncate: (length) => this.#while(() => file.truncate(length)),
      sync: () => this.#while(() => file.sync()),
      size: () => this.#while(() => file.size()),
      close: () => {
        this.#files.delete(file)
        return file.close()
      },
    }
  }

  #bus(bus: Bus): Bus {
    this.#buses.push(bus)
    const isDead = (): boolean => this.#dead
    return {
      get maxPayloadBytes() {
        return bus.maxPayloadBytes
      },
      get connected() {
        return bus.connected && !isDead()
      },
      get pendingBytes() {
        return bus.pendingBytes
      },
      drained: () => bus.drained(),
      publish: (subject, payload, reply) => {
        if (isDead()) throw new BusError('closed', 'the server was killed')
        bus.publish(subject, payload, reply)
      },
      hasInterest: (subject) => bus.hasInterest(subject),
      subscribe: (subject, handler, options) => {
        if (isDead()) throw new BusError('closed', 'the server was killed')
        return bus.subscribe(
          subject,
          (message) => {
            if (!isDead()) handler(message)
          },
          options,
        )
      },
      request: (subject, payload, timeoutMs) =>
        this.#while(() => bus.request(subject, payload, timeoutMs)),
      flush: () => this.#while(() => bus.flush()),
      onStatus: (listener) => bus.onStatus(listener),
      close: () => bus.close(),
    }
  }
}
