/**
 * One process of the world. Whatever runs in it comes through here: a dead process does nothing
 * any more, a stopped one does it all later, when it is continued.
 */
import type { ScheduledEvent, Scheduler } from './scheduler.ts'

export class SimProcess {
  readonly name: string
  readonly #scheduler: Scheduler
  #state: 'running' | 'stopped' | 'dead' = 'running'
  #held: { readonly label: string; run: (() => void) | undefined }[] = []
  #onEnd: (() => void)[] = []

  constructor(name: string, scheduler: Scheduler) {
    this.name = name
    this.#scheduler = scheduler
  }

  get alive(): boolean {
    return this.#state !== 'dead'
  }

  get stopped(): boolean {
    return this.#state === 'stopped'
  }

  /** Runs `run` in this process after a delay. */
  after(delayUs: number, label: string, run: () => void): ScheduledEvent {
    let held: { run: (() => void) | undefined } | undefined
    let cancelled = false
    const event = this.#scheduler.after(delayUs, label, () => {
      if (this.#state === 'running') run()
      else if (this.#state === 'stopped') {
        const entry = { label, run: cancelled ? undefined : run }
        held = entry
        this.#held.push(entry)
      }
    })
    return {
      cancel: () => {
        cancelled = true
        event.cancel()
        if (held) held.run = undefined
      },
    }
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.#state === 'running') this.#state = 'stopped'
  }

  /** SIGCONT: what came meanwhile happens now, in its order. */
  continue(): void {
    if (this.#state !== 'stopped') return
    this.#state = 'running'
    const held = this.#held
    this.#held = []
    for (const entry of held) {
      this.after(0, entry.label, () => entry.run?.())
    }
  }

  /** kill -9. */
  kill(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#held = []
    const listeners = this.#onEnd
    this.#onEnd = []
    for (const listener of listeners) listener()
  }

  /** Called once, when the process dies. */
  onEnd(listener: () => void): void {
    this.#onEnd.push(listener)
  }
}
