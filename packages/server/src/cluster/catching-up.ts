/** Whether a server that has just started waits for its replicas to be in sync. */
import type { MetadataView } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'

/** Beyond it what lags is its leader's to tell, and no reason to send clients elsewhere. */
const CATCH_UP_MS = 60_000

export class CatchingUp {
  readonly #serverId: string
  readonly #clock: Clock
  readonly #startedMs: number
  #done = false

  constructor(serverId: string, clock: Clock) {
    this.#serverId = serverId
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  /**
   * Replicas here that are not in sync yet. In a rolling restart the next server must wait for
   * them. Once they are while the server is `serving`, or a minute after its start, 0 for good.
   */
  behind(state: MetadataView | undefined, serving: boolean): number {
    if (this.#done || state === undefined) return 0
    let behind = 0
    for (const { partitions } of state.streams.values()) {
      for (const { replicas, isr, paused } of partitions) {
        if (!paused && replicas.includes(this.#serverId) && !isr.includes(this.#serverId)) behind++
      }
    }
    const isLong = this.#clock.monotonicMs() - this.#startedMs > CATCH_UP_MS
    this.#done = serving && (behind === 0 || isLong)
    return this.#done ? 0 : behind
  }
}
