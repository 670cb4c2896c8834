/**
 * Term and vote, in a file of one line that is replaced as a whole:
 *
 *     <term> =<server voted for, as in a URL> <CRC-32C of what stands before, eight hex digits>
 *     <term> - <the same>                                            nobody was voted for yet
 *
 * Forgetting either could make this server vote twice in one term, so a file that cannot be read
 * stops the start [M6, Raft 5.2].
 */
import { crc32c, type Disk } from '@liftbridge/log'
import type { HardState } from '@liftbridge/raft'
import { readFile, replaceFile } from './files.ts'
import { RaftStoreUnreadable } from './unreadable.ts'

const FILE = 'hard-state'
const MAX_BYTES = 1024

/** Undefined when there is no file: nothing was ever promised. */
export const readHardState = async (
  disk: Disk,
  directory: string,
): Promise<HardState | undefined> => {
  const path = `${directory}/${FILE}`
  const names = (await disk.list(directory)).map(({ name }) => name)
  if (!names.includes(FILE)) return undefined
  const bytes = await readFile(disk, path, MAX_BYTES)
  const text = bytes === undefined ? '' : new TextDecoder().decode(bytes)
  const state = parseHardState(text)
  if (state !== undefined) return state
  throw new RaftStoreUnreadable(path, 'it does not hold a term and a vote')
}

/** Undefined when it is not the text of such a file. */
export const parseHardState = (text: string): HardState | undefined => {
  const match = /^((\d{1,16}) (-|=(\S*))) ([0-9a-f]{8})\n$/.exec(text)
  const [, sealed = '', digits = '', , vote, sum] = match ?? []
  const term = Number(digits)
  if (match === null || sum !== sumOf(sealed) || !Number.isSafeInteger(term)) return undefined
  if (vote === undefined) return { term, votedFor: undefined }
  try {
    return { term, votedFor: decodeURIComponent(vote) }
  } catch {
    // A per cent sign that stands for nothing, under a checksum that fits.
    return undefined
  }
}

/** Durable when it resolves. */
export const writeHardState = async (
  disk: Disk,
  directory: string,
  { term, votedFor }: HardState,
): Promise<void> => {
  const sealed = `${term} ${votedFor === undefined ? '-' : `=${encodeURIComponent(votedFor)}`}`
  const bytes = new TextEncoder().encode(sealHardState(sealed))
  await replaceFile(disk, { directory, name: FILE }, bytes)
}

/** The line of the file, for term and vote as they stand in it. */
export const sealHardState = (termAndVote: string): string =>
  `${termAndVote} ${sumOf(termAndVote)}\n`

const sumOf = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  return crc32c(bytes, 0, bytes.length).toString(16).padStart(8, '0')
}
