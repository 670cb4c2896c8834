import { writeSync } from 'node:fs'
import { Worker, isMainThread, workerData } from 'node:worker_threads'

/** An input that runs longer than this hangs, as far as a server is concerned. */
const HANG_MS = 20_000
const INPUT_MAX_BYTES = 1 << 16

/**
 * A thread that notices when an input never ends. The thread under test cannot report that itself,
 * so it leaves each input in shared memory before it runs it: the count of inputs begun, the
 * length, the bytes.
 */
export class Watchdog {
  readonly #shared = new SharedArrayBuffer(8 + INPUT_MAX_BYTES)
  readonly #words = new Int32Array(this.#shared, 0, 2)
  readonly #bytes = new Uint8Array(this.#shared, 8)
  readonly #worker: Worker

  constructor(target: string) {
    const workerData = { shared: this.#shared, target }
    this.#worker = new Worker(new URL(import.meta.url), { workerData })
    this.#worker.unref()
  }

  /** Notes that `input` is about to run. */
  note(input: Uint8Array): void {
    const length = Math.min(input.length, INPUT_MAX_BYTES)
    this.#bytes.set(length === input.length ? input : input.subarray(0, length))
    this.#words[1] = length
    this.#words[0] = ((this.#words[0] ?? 0) + 1) | 0
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

function watch(shared: SharedArrayBuffer, target: string): void {
  const words = new Int32Array(shared, 0, 2)
  let last = Atomics.load(words, 0)
  setInterval(() => {
    const now = Atomics.load(words, 0)
    if (now === last && now !== 0) {
      const input = Buffer.from(new Uint8Array(shared, 8, words[1] ?? 0)).toString('hex')
      // The other thread is stuck and would never print: this goes straight to the descriptor.
      writeSync(2, `FAIL ${target}: no end after ${HANG_MS} ms\n  input ${input}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
    last = now
  }, HANG_MS)
}

if (!isMainThread) {
  const given = workerData as { shared: SharedArrayBuffer; target: string }
  watch(given.shared, given.target)
}
