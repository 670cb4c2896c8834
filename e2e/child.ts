/** A child process of a test run: its output is kept, its end can be awaited, it never outlives us. */
import { type ChildProcess, spawn } from 'node:child_process'

/** How much output is kept of one process, in characters: enough to explain a failed start. */
const OUTPUT_MAX_CHARS = 256 * 1024

export type ExitStatus = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type ChildOptions = {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

const running = new Set<Child>()

// A test run that dies must not leave servers behind: they hold ports and the disk.
process.on('exit', () => {
  for (const child of running) child.signal('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143))
}

export class Child {
  readonly #process: ChildProcess
  readonly exited: Promise<ExitStatus>
  #output = ''
  #status: ExitStatus | undefined

  constructor(options: ChildOptions) {
    this.#process = spawn(options.command, options.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    running.add(this)
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-OUTPUT_MAX_CHARS)
    }
    this.#process.stdout?.setEncoding('utf8').on('data', keep)
    this.#process.stderr?.setEncoding('utf8').on('data', keep)
    this.exited = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        keep(String(error))
        this.#end({ code: null, signal: null }, resolve)
      })
      this.#process.once('close', (code, signal) => this.#end({ code, signal }, resolve))
    })
  }

  /** The process id; throws when the program could not be started at all. */
  get pid(): number {
    const { pid } = this.#process
    if (pid === undefined) throw new Error(`the process did not start: ${this.#output}`)
    return pid
  }

  /** What the process wrote to stdout and stderr so far (the last 256 Ki characters). */
  get output(): string {
    return this.#output
  }

  /** Undefined while the process runs. */
  get status(): ExitStatus | undefined {
    return this.#status
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#status === undefined) this.#process.kill(signal)
  }

  /** Kills with SIGKILL and waits for the end. */
  async kill(): Promise<ExitStatus> {
    this.signal('SIGKILL')
    return this.exited
  }

  /** Asks with SIGTERM and waits; kills after `graceMs` and rejects, for a stop that hangs is a defect. */
  async stop(graceMs = 15_000): Promise<ExitStatus> {
    this.signal('SIGTERM')
    const status = await within(this.exited, graceMs)
    if (status !== undefined) return status
    await this.kill()
    throw new Error(`no exit within ${graceMs} ms of SIGTERM; its output:\n${this.#output}`)
  }

  #end(status: ExitStatus, resolve: (status: ExitStatus) => void): void {
    this.#status = status
    running.delete(this)
    resolve(status)
  }
}

/** The promise's value, or undefined when it is not settled within `ms`. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until `probe` returns true, asking every 10 ms; false when `timeoutMs` passed first. */
export async function until(
  probe: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const end = performance.now() + timeoutMs
  for (;;) {
    if (await probe()) return true
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
