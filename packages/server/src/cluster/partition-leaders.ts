/** What has become of a partition: here by the reconciler's word, elsewhere by its leader's. */
import type { Settlement } from '../metadata/partition-slot.ts'
import { untilLed, type StatusOptions } from './partition-status.ts'
import { untilDone } from './until-done.ts'

/** `not-yet` after the time; attempts go on then, as after `failed`. */
export type Led =
  | { readonly kind: 'led' }
  | { readonly kind: 'not-yet' }
  | { readonly kind: 'failed'; readonly reason: string }

type LeadersOptions = StatusOptions & {
  readonly serverId: string
  /** See `Reconciler.settled`; undefined before there is one. */
  readonly settled: (stream: string, partition: number) => Promise<Settlement> | undefined
}

export class PartitionLeaders {
  readonly #options: LeadersOptions

  constructor(options: LeadersOptions) {
    this.#options = options
  }

  /**
   * Resolves when this server does what the metadata wants of a partition, or has failed to once;
   * undefined after the time.
   */
  async settled(
    stream: string,
    partition: number,
    timeoutMs: number,
  ): Promise<Settlement | undefined> {
    let settlement: Settlement | undefined
    const settled = this.#options.settled(stream, partition)?.then((it) => (settlement = it))
    if (settled !== undefined) await untilDone(this.#options.clock, timeoutMs, settled)
    return settlement
  }

  /** Resolves when the partition runs on its leader, wherever that is, or cannot run here. */
  async led(stream: string, partition: number, timeoutMs: number): Promise<Led> {
    const { leaderOf, serverId } = this.#options
    const leader = leaderOf(stream, partition)
    if (leader !== undefined && leader !== serverId) {
      const isLed = await untilLed(this.#options, { stream, id: partition }, timeoutMs)
      return { kind: isLed ? 'led' : 'not-yet' }
    }
    const settlement = await this.settled(stream, partition, timeoutMs)
    if (settlement === undefined) return { kind: 'not-yet' }
    return settlement.kind === 'failed' ? settlement : { kind: 'led' }
  }
}
