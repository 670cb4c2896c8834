/**
 * A file that says how far this server is on its way into a cluster:
 *
 *     joining   It may lack what it, under the same id, has once confirmed: its disk may have been
 *               lost. It has no vote, for that might elect a leader without committed entries [M10].
 *     whole     It has the entry that took it in, and so all that was committed before; it may
 *               vote, but was perhaps taken in as a non-voter and not made a voter yet.
 *     no file   It is a member, or has never tried to be one.
 */
import type { Disk } from '@liftbridge/log'
import { readFile, replaceFile } from './files.ts'

export type JoinStage = 'joining' | 'whole'

const FILE = 'joining'
const MAX_BYTES = 64

export const readJoinStage = async (
  disk: Disk,
  directory: string,
): Promise<JoinStage | undefined> => {
  const entries = await disk.list(directory)
  if (entries.every(({ name }) => name !== FILE)) return undefined
  const bytes = await readFile(disk, `${directory}/${FILE}`, MAX_BYTES)
  const text = bytes === undefined ? '' : new TextDecoder().decode(bytes)
  // Whatever else stands there: the careful reading is right.
  return text === 'whole\n' ? 'whole' : 'joining'
}

/** Durable when it resolves. */
export const writeJoinStage = async (
  disk: Disk,
  directory: string,
  stage: JoinStage | undefined,
): Promise<void> => {
  if (stage !== undefined) {
    const bytes = new TextEncoder().encode(`${stage}\n`)
    return replaceFile(disk, { directory, name: FILE }, bytes)
  }
  await disk.remove(`${directory}/${FILE}`)
  await disk.syncDirectory(directory)
}
