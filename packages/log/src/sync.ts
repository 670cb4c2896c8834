/** Making appended records durable. */
import type { LogCore } from './log-core.ts'
import type { Offset } from './units.ts'

/**
 * One fdatasync of the active segment; sealed segments were synced when they were sealed. The
 * offset that is durable then. A failure fences the log: the kernel may say "fine" to the next
 * try although the bytes are gone [reliability D7, 0.7].
 */
export async function syncActive(core: LogCore): Promise<Offset> {
  for (;;) {
    core.assertOpen()
    const { active, newestOffset: target, generation } = core
    if (target <= core.syncedOffset) return core.syncedOffset
    try {
      await active.file.sync()
    } catch (error) {
      if (active.live) {
        core.fail(error)
        throw error
      }
    }
    core.assertOpen()
    // A truncation in between may have replaced the very records this sync was for.
    if (generation !== core.generation || !active.live) continue
    if (target > core.syncedOffset) core.syncedOffset = target
    return core.syncedOffset
  }
}
