/**
 * The one loop that walks stored records and decides whether they hold. Readers, recovery,
 * replication and compaction all pass through it, so bytes are checked the same way everywhere.
 */
import { joinWords, type LeaderEpoch, type Offset } from '../units.ts'
import { crc32cView } from './crc32c.ts'
import { FRAME_SIZE, MAX_BODY_SIZE, MIN_BODY_SIZE } from './record.ts'

/** Why a scan stopped. */
export type ScanStop =
  /** The bytes ended on a record's end. */
  | 'end'
  /** The next record runs past the bytes that were given. */
  | 'short'
  /** The next record is beyond `limit`. */
  | 'limit'
  /** `maxBytes` is used up. */
  | 'full'
  | 'bad-size'
  | 'bad-offset'
  | 'bad-epoch'
  | 'bad-checksum'

export interface ScanOptions {
  /** Where the first record starts. */
  readonly start: number
  readonly end: number
  /** The first record's offset must be at least this. */
  readonly minOffset: Offset
  /** Records beyond this one are left alone. */
  readonly limit: Offset
  /** At most so many bytes, but always one record. */
  readonly maxBytes: number
  /** Every record must follow its predecessor without a gap, and the first be `minOffset`. */
  readonly dense?: boolean
  /**
   * Epochs must not fall, beginning with this one; undefined: they are not looked at. The checksum
   * does not cover the frame, so a tear within it shows only here [E3].
   */
  readonly minEpoch?: LeaderEpoch | undefined
  /** False for bytes this process wrote and still holds in memory. */
  readonly verify: boolean
}

/** What a scan accepted; the instance is reused. */
export class Scan {
  /** End of the last accepted record, and start of the one that stopped the scan. */
  end = 0
  count = 0
  firstOffset: Offset = -1
  lastOffset: Offset = -1
  /** Position of the last accepted record. */
  lastStart = -1
  stop: ScanStop = 'end'
  /** For `short` and `limit`: size and offset of the record that stopped it, -1 when unknown. */
  nextSize = -1
  nextOffset: Offset = -1
  /** Of the last accepted record, when epochs are looked at. */
  lastEpoch: LeaderEpoch = 0

  /** Walks records; without `verify` a few nanoseconds each, with it one per byte more. */
  run(view: DataView, options: ScanOptions): void {
    const { start, end, limit, maxBytes, verify, dense = false } = options
    let at = start
    let expected = options.minOffset
    let epoch = options.minEpoch
    this.count = 0
    this.firstOffset = -1
    this.lastOffset = -1
    this.lastStart = -1
    this.nextSize = -1
    this.nextOffset = -1
    let stop: ScanStop = 'end'
    while (at < end) {
      if (end - at < FRAME_SIZE) {
        stop = 'short'
        break
      }
      const bodySize = view.getUint32(at + 24)
      const offset = joinWords(view.getUint32(at), view.getUint32(at + 4))
      if (bodySize < MIN_BODY_SIZE || bodySize > MAX_BODY_SIZE) {
        stop = 'bad-size'
        break
      }
      if (dense ? offset !== expected : offset < expected || offset > Number.MAX_SAFE_INTEGER) {
        stop = 'bad-offset'
        break
      }
      const next = at + FRAME_SIZE + bodySize
      this.nextSize = next - at
      this.nextOffset = offset
      if (offset > limit) {
        stop = 'limit'
        break
      }
      if (next > end) {
        stop = 'short'
        break
      }
      if (next - start > maxBytes && this.count > 0) {
        stop = 'full'
        break
      }
      if (verify && crc32cView(view, at + 32, next) !== view.getUint32(at + 28)) {
        stop = 'bad-checksum'
        break
      }
      if (epoch !== undefined) {
        const next = joinWords(view.getUint32(at + 16), view.getUint32(at + 20))
        if (next < epoch) {
          stop = 'bad-epoch'
          break
        }
        epoch = next
      }
      if (this.count === 0) this.firstOffset = offset
      this.count++
      this.lastOffset = offset
      this.lastStart = at
      expected = offset + 1
      at = next
    }
    this.end = at
    this.stop = stop
    this.lastEpoch = epoch ?? 0
  }
}

/** True when the bytes at the stop are wrong, rather than absent or not wanted. */
export function isDamage(stop: ScanStop): boolean {
  return stop.startsWith('bad-')
}
