/**
 * After a failed sync the kernel may show bytes as written that never reach the disk: their pages
 * are clean, so the next sync has nothing to do and succeeds. Writing the same bytes to the same
 * place makes the pages dirty again, and the sync that follows tells the truth [reliability 0.7, D7].
 */
import { DiskError } from './disk.ts'
import { writeAll } from './file-io.ts'
import type { LogCore } from './log-core.ts'
import { findRecord } from './segment-search.ts'
import { walkRecords } from './segment-walk.ts'
import type { Offset } from './units.ts'

/**
 * Writes the records beyond `known` again; the caller syncs. They all lie in the active segment,
 * since a segment is sealed by a sync. Throws `DiskError` when they are not what was verified just
 * before: the next opening then cuts them off.
 */
export async function rewriteTail(core: LogCore, known: Offset): Promise<void> {
  const segment = core.active
  if (segment.lastOffset <= known) return
  const wanted = { kind: 'offset', offset: known + 1 } as const
  const found = await findRecord(core, segment, wanted, true)
  if (found.kind === 'end') return
  const { position: from, offset: minOffset } = found.at
  const walk = { from, end: segment.size, minOffset, verify: true }
  const end = await walkRecords(segment.file, walk, async (block) => {
    const file = await segment.file.borrow()
    try {
      const span = { bytes: block.bytes, start: block.start, length: block.end - block.start }
      await writeAll(file, span, block.position)
    } finally {
      segment.file.giveBack()
    }
  })
  if (end.position === segment.size) return
  throw new DiskError('io', segment.file.path, 'unsynced records changed while they were read')
}
