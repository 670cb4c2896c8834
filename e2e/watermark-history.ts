/** What every replica of a partition told of its high watermark, in order, and what that forbids. */
import type { Anomaly } from './history.ts'

export type WatermarkNote = {
  readonly server: string
  /** The run of the server's process: a restarted one may begin lower [reliability R4]. */
  readonly run: number
  /** The newest readable offset, -1 for none. */
  readonly highWatermark: number
  /** The newest offset in the log, as told in the same answer. */
  readonly newest: number
}

export class WatermarkHistory {
  readonly #name: string
  readonly #told = new Map<string, { readonly run: number; readonly highWatermark: number }>()
  #highest: WatermarkNote | undefined
  #anomalies: Anomaly[] = []
  #notes = 0

  constructor(name: string) {
    this.#name = name
  }

  /** One answer. Those of one run of a server must be given in the order in which it made them. */
  note(note: WatermarkNote): void {
    const { server, run, highWatermark, newest } = note
    this.#notes++
    const before = this.#told.get(server)
    if (before?.run === run && highWatermark < before.highWatermark) {
      const detail = `${server} told ${before.highWatermark}, then ${highWatermark}`
      this.#report('high-watermark-back', detail)
    }
    this.#told.set(server, { run, highWatermark })
    if (highWatermark > newest) {
      const detail = `${server} told ${highWatermark}, its log ends with ${newest}`
      this.#report('high-watermark-beyond-end', detail)
    }
    if (highWatermark > (this.#highest?.highWatermark ?? -1)) this.#highest = note
  }

  get notes(): number {
    return this.#notes
  }

  /** All that is wrong, beside a read that found `length` messages; forgets what it reports. */
  check(length: number): readonly Anomaly[] {
    const highest = this.#highest
    if (highest !== undefined && highest.highWatermark >= length) {
      const detail = `${highest.server} told ${highest.highWatermark}, the log ends at ${length}`
      this.#report('high-watermark-lost', detail)
    }
    const anomalies = this.#anomalies
    this.#anomalies = []
    return anomalies
  }

  #report(kind: Anomaly['kind'], detail: string): void {
    this.#anomalies.push({ kind, detail: `${this.#name}: ${detail}` })
  }
}
