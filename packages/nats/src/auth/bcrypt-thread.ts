import { parentPort, Worker, workerData } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

/**
 * Checks bcrypt hashes in a thread of its own: each takes tens of milliseconds of pure computing,
 * which nobody else's messages shall wait for. One at a time; above `WAITING_MAX` the next are
 * refused, so that a flood of logins costs one core at most and no memory.
 */
export class BcryptThread {
  #worker: Worker | undefined
  #nextId = 1
  readonly #waiting = new Map<number, (matches: boolean) => void>()

  matches(password: string, hash: string): Promise<boolean> {
    if (this.#waiting.size >= WAITING_MAX) return Promise.resolve(false)
    return new Promise((resolve) => {
      const id = this.#nextId++
      this.#waiting.set(id, resolve)
      this.#start().postMessage({ id, password, hash } satisfies Question)
    })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#refuseAll()
    await worker?.terminate()
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL(import.meta.url), { workerData: ROLE })
    worker.unref()
    worker.on('message', ({ id, matches }: { id: number; matches: boolean }) => {
      this.#waiting.get(id)?.(matches)
      this.#waiting.delete(id)
    })
    // A thread that died refuses who waited; the next login starts another.
    worker.on('error', () => {
      if (this.#worker === worker) this.#worker = undefined
      this.#refuseAll()
    })
    this.#worker = worker
    return worker
  }

  #refuseAll(): void {
    for (const resolve of this.#waiting.values()) resolve(false)
    this.#waiting.clear()
  }
}

const WAITING_MAX = 256
/** Tells the thread that it is one: this module is both sides. */
const ROLE = 'liftbridge-nats-bcrypt'

if (workerData === ROLE) {
  parentPort?.on('message', ({ id, password, hash }: Question) => {
    parentPort?.postMessage({ id, matches: compareSync(password, hash) })
  })
}

interface Question {
  readonly id: number
  readonly password: string
  readonly hash: string
}
