/** Hands jobs to processes, one per core. */
import { fork, type ChildProcess } from 'node:child_process'
import type { Job, JobResult } from './worker.ts'

/** A job that is not done by then hangs: a loop that never comes back to the scheduler. */
const HANGS_MS = 120_000
/** Time is counted in such steps: one in which this process itself was stopped counts once. */
const TICK_MS = 1_000

export type Outcome = JobResult | { readonly kind: 'died'; readonly text: string }

export interface WorkerOptions {
  /** Given to each process besides those of this one. */
  readonly execArgv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly hangsMs?: number
}

export class Worker {
  readonly #options: WorkerOptions
  #child: ChildProcess | undefined

  constructor(options: WorkerOptions = {}) {
    this.#options = options
  }

  /** Never rejects: a process that ends or hangs is an outcome, and the next job gets a new one. */
  run(job: Job): Promise<Outcome> {
    const child = (this.#child ??= this.#start())
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    let errors = ''
    const onError = (chunk: Buffer): void => {
      errors = (errors + chunk.toString()).slice(-4_000)
    }
    const onExit = (): void => settle({ kind: 'died', text: `a process ended: ${errors}` })
    const onMessage = (result: JobResult): void => settle(result)
    let leftMs = this.#options.hangsMs ?? HANGS_MS
    const timer = setInterval(() => {
      leftMs -= TICK_MS
      if (leftMs > 0) return
      settle({ kind: 'died', text: 'a run hangs in one event' })
      this.stop()
    }, TICK_MS)
    const settle = (outcome: Outcome): void => {
      clearInterval(timer)
      child.off('message', onMessage).off('exit', onExit)
      child.stderr?.off('data', onError)
      if (outcome.kind === 'died') this.#child = undefined
      resolve(outcome)
    }
    child.stderr?.on('data', onError)
    child.on('message', onMessage).on('exit', onExit)
    child.send(job)
    return promise
  }

  stop(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  #start(): ChildProcess {
    const { execArgv = [], env = {} } = this.#options
    return fork(new URL('./worker.ts', import.meta.url), {
      execArgv: [...process.execArgv, ...execArgv],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
  }
}
