/**
 * A file beside a log of which a sync failed, for a process that opens the log later: what that one
 * reads may be in the page cache only, and the kernel takes it for written [D7]. The file is never
 * synced. It lives in the same cache, so it is there as long as what it warns of: a power cut, after
 * which the log reads as it is on the disk, takes it away as well, or costs a tail written twice.
 */
import { DiskError, type Disk } from '@liftbridge/log'

const SUFFIX = '.distrusted'

/** Whether a sync of the log in this directory failed before. DiskError. */
export async function hasFailedSync(disk: Disk, directory: string): Promise<boolean> {
  try {
    await (await disk.open(`${directory}${SUFFIX}`)).close()
    return true
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return false
    throw error
  }
}

/** Rejects with a DiskError where the disk does not take even that. */
export async function noteFailedSync(disk: Disk, directory: string): Promise<void> {
  await (await disk.open(`${directory}${SUFFIX}`, { create: true })).close()
}

/** The log has been written again, and synced. Idempotent; DiskError. */
export async function forgetFailedSync(disk: Disk, directory: string): Promise<void> {
  if (await hasFailedSync(disk, directory)) await disk.remove(`${directory}${SUFFIX}`)
}
