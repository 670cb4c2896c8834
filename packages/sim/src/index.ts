export {
  SimDisk,
  type DiskFault,
  type DiskOperation,
  type DiskOperationKind,
  type SimDiskOptions,
} from './disk.ts'
export { SECTOR_BYTES, type SectorFate } from './disk-nodes.ts'
export {
  cutAfter,
  cutAtRandom,
  cutKeepingAll,
  cutKeepingSectors,
  cutLosingAll,
  type PowerCutPlan,
  type UnsyncedSector,
} from './power-cut.ts'
export { createSimRandom, type SimRandom } from './random.ts'
