import type { DiskOperationKind } from '../disk.ts'
import type { SimRandom } from '../random.ts'
import type { SimProcess } from '../world/sim-process.ts'

/** How slow a disk is. Everything takes its time in an event of its own, so a crash may fall between. */
export class DiskTiming {
  /** Median of a sync, microseconds. */
  syncUs = 300
  /** Chance that a sync stalls, and for how long at most, milliseconds. */
  stallChance = 0.002
  stallMaxMs = 300
  readonly #random: SimRandom

  constructor(random: SimRandom) {
    this.#random = random
  }

  /** The pause before an operation takes effect; undefined for at once. Ends with the process. */
  pause(process: SimProcess, kind: DiskOperationKind): Promise<void> | undefined {
    const us = this.#durationUs(kind)
    if (us === 0) return undefined
    return new Promise((resolve) => {
      process.after(us, `disk ${kind}`, resolve)
    })
  }

  #durationUs(kind: DiskOperationKind): number {
    const random = this.#random.of(kind)
    switch (kind) {
      case 'sync':
      case 'sync-directory':
        if (random.chance(this.stallChance)) return random.next() * this.stallMaxMs * 1_000
        return this.syncUs * (0.3 + 2 * random.next() ** 2)
      case 'write':
      case 'truncate':
      case 'create':
      case 'rename':
      case 'remove':
      case 'make-directory':
        return 5 + random.integer(40)
      case 'read':
      case 'open':
      case 'size':
      case 'list':
        // Mostly from memory; now and then the platter turns.
        return random.chance(0.1) ? 20 + random.integer(500) : 0
      default:
        return kind satisfies never
    }
  }
}
