/** The log of a replica as it lies on its disk, read without the server's help. */
import {
  crc32c,
  FRAME_SIZE,
  MIN_BODY_SIZE,
  readUint32,
  recordBodySize,
  recordEpoch,
  recordOffset,
  recordTimestamp,
  RecordView,
} from '@liftbridge/log'
import type { SimDisk } from '../disk.ts'

export interface StoredRecord {
  readonly offset: number
  readonly timestampNs: bigint
  readonly epoch: number
  /** UTF-8 of the value. */
  readonly value: string
  /** Everything of the record, to compare replicas: checksum and sizes cover the body. */
  readonly print: string
}

export interface ReplicaLog {
  /** Ascending by offset; whole records whose checksums verify, up to the first that is not. */
  readonly records: readonly StoredRecord[]
  /** The high watermark's file; -1 when it cannot be read. */
  readonly checkpoint: number
}

/** Which bytes count: those a process sees, or those that survive any power cut. */
export type Durability = 'cached' | 'durable'

/** Reads all segments below a partition's directory; undefined when there is no directory. */
export function readReplicaLog(
  disk: SimDisk,
  directory: string,
  durability: Durability = 'cached',
): ReplicaLog | undefined {
  const files = disk.files(directory)
  if (files.length === 0) return undefined
  const content = (path: string): Uint8Array =>
    durability === 'cached' ? disk.content(path) : disk.durableContent(path)
  const records: StoredRecord[] = []
  for (const path of files) {
    if (!/\/\d{20}\.log$/.test(path)) continue
    readSegment(content(path), (record) => records.push(storedRecord(record)))
  }
  return { records, checkpoint: readCheckpoint(files, content) }
}

/** A whole record in the bytes of its segment. */
export interface RawRecord {
  readonly bytes: Uint8Array
  readonly at: number
  readonly checksum: number
  readonly size: number
  readonly view: RecordView
}

/** Visits the records of a segment up to the first that is not whole or whose checksum is wrong. */
export function readSegment(bytes: Uint8Array, visit: (record: RawRecord) => void): void {
  const view = new RecordView()
  for (let at = 0; at + FRAME_SIZE + MIN_BODY_SIZE <= bytes.length;) {
    const size = recordBodySize(bytes, at)
    const end = at + FRAME_SIZE + size
    if (size < MIN_BODY_SIZE || end > bytes.length) return
    const checksum = readUint32(bytes, at + FRAME_SIZE)
    if (crc32c(bytes, at + FRAME_SIZE + 4, end) !== checksum) return
    if (!view.load(bytes, at)) return
    visit({ bytes, at, checksum, size, view })
    at = end
  }
}

function storedRecord({ bytes, at, checksum, size, view }: RawRecord): StoredRecord {
  const timestampNs = recordTimestamp(bytes, at)
  const epoch = recordEpoch(bytes, at)
  return {
    offset: recordOffset(bytes, at),
    timestampNs,
    epoch,
    value: Buffer.from(bytes.subarray(view.valueStart, view.valueEnd)).toString(),
    print: `${epoch}/${timestampNs}/${size}/${checksum}`,
  }
}

function readCheckpoint(files: readonly string[], content: (path: string) => Uint8Array): number {
  const path = files.find((name) => name.endsWith('/replication-offset-checkpoint'))
  if (path === undefined) return -1
  const text = Buffer.from(content(path)).toString('latin1')
  return /^\d{1,16}$/.test(text) ? Number(text) : -1
}
