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
const NOBODY = '-'

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
  const match = /^((\d{1,16}) (\S+)) ([0-9a-f]{8})\n$/.exec(text)
  const [, sealed = '', digits = '', vote = '', sum] = match ?? []
  const term = Number(digits)
  if (match === null || sum !== sumOf(sealed) || !Number.isSafeInteger(term)) {
    throw new RaftStoreUnreadable(path, 'it does not hold a term and a vote')
  }
  return { term, votedFor: vote === NOBODY ? undefined : decodeURIComponent(vote.slice(1)) }
}

/** Durable when it resolves. */
export const writeHardState = async (
  disk: Disk,
  directory: string,
  { term, votedFor }: HardState,
): Promise<void> => {
  const sealed = `${term} ${votedFor === undefined ? NOBODY : `=${encodeURIComponent(votedFor)}`}`
  const bytes = new TextEncoder().encode(`${sealed} ${sumOf(sealed)}\n`)
  await replaceFile(disk, { directory, name: FILE }, bytes)
}

const sumOf = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  return crc32c(bytes, 0, bytes.length).toString(16).padStart(8, '0')
}
