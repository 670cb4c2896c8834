export { type Disk, type DiskEntry, DiskError, type DiskErrorCode, type DiskFile } from './disk.ts'
export { type Damage, CorruptSegmentError, LogError, type LogErrorCode } from './errors.ts'
export { FileCache } from './file-cache.ts'
export { TailCache } from './tail-cache.ts'
export { type CleanReport, CommitLog } from './commit-log.ts'
export type { CommitLogOptions, LogProblem, RetentionPolicy } from './options.ts'
export type { VerbatimOptions } from './append.ts'
export { LogReader, type ReaderOptions, type ReadOptions } from './reader.ts'
export { type ReverseBlock, ReverseReader, type ReverseReaderOptions } from './reverse-reader.ts'
export type { LogState } from './log-core.ts'
export type { LogBlock, LogEnd, LogEndReason } from './record-block.ts'
export {
  RecordBatch,
  type RecordBatchOptions,
  type RecordProblem,
  type RecordSource,
  encodeHeaders,
  storedSize,
} from './format/record-batch.ts'
export * from './format/record.ts'
export { crc32c } from './format/crc32c.ts'
export type { EpochEnd, EpochStart } from './leader-epochs.ts'
export * from './units.ts'
