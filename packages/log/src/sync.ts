/** Making appended records durable. */
import type { LogCore } from './log-core.ts'
import type { Offset } from './units.ts'

/**
 * One fdatasync of the active segment; sealed segments were synced when they were sealed. The
 * offset that is durable then. A failure fences the log: the kernel may say "fine" to the next
 * try although the bytes are gone [reliability D7, 0.7].
 */
export async function syncActive(core: LogCore): Promise<Offset> {
  core.assertOpen()
  const segment = core.active
  const target = core.newestOffset
  if (target <= core.syncedOffset) return core.syncedOffset
  try {
    await segment.file.sync()
  } catch (error) {
    core.fail(error)
    throw error
  }
  core.assertOpen()
  // A cut that came in between lowered the newest offset, and waits for syncs to end; see truncate.
  if (target > core.syncedOffset) core.syncedOffset = Math.min(target, core.newestOffset)
  return core.syncedOffset
}
