/** Making appended records durable. */
import type { LogCore } from './log-core.ts'
import type { Offset } from './units.ts'

/**
 * Makes the names of the log's files and of the partition's and the stream's directories durable,
 * once per opening, since a process that was killed right after it made them cannot have done so.
 * To be called before anything is called durable that was not already; a log that is only opened,
 * and one without records, waits with it, so that ten thousand idle ones cost no sync.
 */
export async function syncNames(core: LogCore): Promise<void> {
  if (core.namesSynced) return
  for (let path = core.directory, level = 0; level < 3 && path !== ''; level++) {
    await core.disk.syncDirectory(path)
    path = path.slice(0, path.lastIndexOf('/'))
  }
  core.namesSynced = true
}

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
      await syncNames(core)
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
