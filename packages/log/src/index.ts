export { DiskError, type Disk, type DiskEntry, type DiskErrorCode, type DiskFile } from './disk.ts'
export {
  NO_OFFSET,
  type LeaderEpoch,
  type Offset,
  type Position,
  type TimestampNs,
} from './units.ts'
