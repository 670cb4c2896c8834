/**
 * A file that says: this server is on its way into a cluster and may not have all that it, under
 * the same id, has once confirmed. A voter that lost its disk would otherwise help to elect a
 * leader that lacks what was committed with its vote [M10]. It is there from before the first
 * entry is stored until the entry that took the server in has been.
 */
import type { Disk } from '@liftbridge/log'
import { writeFile } from './files.ts'

const FILE = 'joining'

export const isJoining = async (disk: Disk, directory: string): Promise<boolean> =>
  (await disk.list(directory)).some(({ name }) => name === FILE)

/** Durable when it resolves. */
export const setJoining = async (
  disk: Disk,
  directory: string,
  joining: boolean,
): Promise<void> => {
  const path = `${directory}/${FILE}`
  if (joining) await writeFile(disk, path, new TextEncoder().encode('joining\n'))
  else await disk.remove(path)
  await disk.syncDirectory(directory)
}
