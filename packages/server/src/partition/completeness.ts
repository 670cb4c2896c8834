/**
 * Whether the log of a replica may lack records that it was counted for: one durable fact for each
 * log, beside its directory. It is set before the replica takes a role with a log that may be
 * incomplete, and taken away only when a leader has shown that nothing is missing any more; what a
 * half-filled log looks like at its next opening proves nothing [R8, KIP-966]. A stream's directory
 * has one incarnation and is deleted or moved as a whole, so the fact never outlives its stream.
 */
import { DiskError, type Disk } from '@liftbridge/log'

/**
 * `unsynced`: nothing is known to be missing, but nothing was ever synced before an unclean end.
 * `incomplete`: records were lost, or never held.
 */
export type Doubt = 'unsynced' | 'incomplete'

/** Beside the directory of the log. */
const MARKER_SUFFIX = '.unproven'
const FILLED_SUFFIX = '.filled'

export class Completeness {
  readonly #disk: Disk

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** What the log in this directory is in doubt for; undefined when it is not. DiskError. */
  async doubt(directory: string): Promise<Doubt | undefined> {
    const bytes = Buffer.alloc(TEXT_MAX_BYTES)
    try {
      const file = await this.#disk.open(`${directory}${MARKER_SUFFIX}`)
      try {
        const length = await file.read(bytes, 0, TEXT_MAX_BYTES, 0)
        // Half written, or anything else: the marker counts, whatever it says.
        return bytes.toString('latin1', 0, length) === 'unsynced\n' ? 'unsynced' : 'incomplete'
      } finally {
        await file.close()
      }
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return undefined
      throw error
    }
  }

  /** Durable when it resolves; rejects with a DiskError, and the log must not be used then. */
  set(directory: string, doubt: Doubt): Promise<void> {
    return this.#write(`${directory}${MARKER_SUFFIX}`, `${doubt}\n`)
  }

  /** The log has everything. Idempotent; when it rejects the doubt may be back after a crash. */
  async clear(directory: string): Promise<void> {
    if ((await this.doubt(directory)) === undefined) return
    await this.#disk.remove(`${directory}${MARKER_SUFFIX}`)
    await this.#disk.syncDirectory(parentOf(directory))
  }

  /**
   * Whether this log, in a data directory younger than its partition, has once held everything:
   * that it is empty says nothing against it any more. DiskError.
   */
  async isFilled(directory: string): Promise<boolean> {
    try {
      await (await this.#disk.open(`${directory}${FILLED_SUFFIX}`)).close()
      return true
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return false
      throw error
    }
  }

  /** Notes durably what `isFilled` tells. Idempotent; DiskError. */
  async noteFilled(directory: string): Promise<void> {
    if (!(await this.isFilled(directory))) await this.#write(`${directory}${FILLED_SUFFIX}`, '')
  }

  async #write(path: string, text: string): Promise<void> {
    const file = await this.#disk.open(path, { create: true })
    try {
      await file.truncate(0)
      const bytes = Buffer.from(text, 'latin1')
      file.writeSync(bytes, 0, bytes.length, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#disk.syncDirectory(parentOf(path))
  }
}

const TEXT_MAX_BYTES = 32

function parentOf(directory: string): string {
  return directory.slice(0, directory.lastIndexOf('/'))
}
