import { createHash, timingSafeEqual } from 'node:crypto'
import { Worker } from 'node:worker_threads'

/** Whether a configured password is a bcrypt hash rather than the password itself. */
export function isBcrypt(password: string): boolean {
  return /^\$2[abxy]\$\d{2}\$.{53}$/s.test(password)
}

/** Compares in a time that does not depend on where the two differ. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

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
      this.#start().postMessage({ id, password, hash })
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
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./bcrypt-thread.${extension}`, import.meta.url))
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
