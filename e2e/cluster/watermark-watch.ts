/** Asks every server again and again how far its replicas can be read. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Anomaly } from '../history.ts'
import { WatermarkHistory } from '../watermark-history.ts'
import { type ClusterProcess, type Member, viewOf } from './cluster-process.ts'

const EVERY_MS = 200

export class WatermarkWatch {
  readonly #histories = new Map<string, WatermarkHistory>()
  #stopped = false
  readonly #watching: Promise<unknown>

  constructor(cluster: ClusterProcess) {
    this.#watching = Promise.all(cluster.members.map((member) => this.#watch(member)))
  }

  /** Answers so far, of all servers and partitions. */
  get notes(): number {
    let notes = 0
    for (const history of this.#histories.values()) notes += history.notes
    return notes
  }

  /** What is wrong with a partition in whose log `length` messages were found. */
  check(stream: string, partition: number, length: number): readonly Anomaly[] {
    return this.#history(stream, partition).check(length)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#watching
  }

  async #watch(member: Member): Promise<void> {
    while (!this.#stopped) {
      const run = member.runs
      const view = (await viewOf(member.server)) ?? []
      // An answer of a process that has ended meanwhile would be counted to the next.
      if (run === member.runs) {
        for (const { stream, partition, highWatermark, newest } of view) {
          // Where the replica does not run, the answer says nothing of it.
          if (highWatermark < 0) continue
          const note = { server: member.id, run, highWatermark, newest }
          this.#history(stream, partition).note(note)
        }
      }
      await sleep(EVERY_MS)
    }
  }

  #history(stream: string, partition: number): WatermarkHistory {
    const name = `${stream} ${partition}`
    const found = this.#histories.get(name) ?? new WatermarkHistory(name)
    this.#histories.set(name, found)
    return found
  }
}
