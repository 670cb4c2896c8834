/** What Raft holds on each server at this moment, and the entries on its disk. */
import { crc32c, recordOffset } from '@liftbridge/log'
import type { RaftStatus } from '@liftbridge/raft'
import type { Cluster } from '../cluster/cluster.ts'
import { DATA_DIR, type Machine } from '../cluster/machine.ts'
import { readSegment } from '../cluster/replica-log.ts'
import type { SimDisk } from '../disk.ts'

export interface RaftNow {
  readonly machine: Machine
  /** One life of a server's process. */
  readonly run: string
  readonly status: RaftStatus
}

export function* raftsNow(cluster: Cluster): Generator<RaftNow> {
  for (const machine of cluster.machines) {
    const status = machine.core?.raftStatus
    if (status !== undefined) yield { machine, run: machine.process.name, status }
  }
}

export interface StoredEntry {
  readonly term: number
  /** Type and data: equal prints, equal entries. */
  readonly print: string
  /** Ids of voters, for a configuration. */
  readonly voters: readonly string[] | undefined
}

const DIRECTORY = `${DATA_DIR}/raft`
const LOG_FILE = /\/log\/(\d{20})\/\d{20}\.log$/
const CONFIGURATION = 5
/** Version, type, index, term, time: what stands before an entry's data. */
const HEADER_BYTES = 26

/**
 * The entries as they lie on the disk, by index, of the newest log directory; `last` is the index
 * before its first when it holds none.
 */
export function storedEntries(disk: SimDisk): {
  readonly entries: ReadonlyMap<number, StoredEntry>
  readonly last: number
} {
  const files = disk.files(`${DIRECTORY}/log`).filter((path) => LOG_FILE.test(path))
  const base = Math.max(1, ...files.map((path) => Number(LOG_FILE.exec(path)?.[1])))
  const entries = new Map<number, StoredEntry>()
  let last = base - 1
  for (const path of files) {
    if (Number(LOG_FILE.exec(path)?.[1]) !== base) continue
    readSegment(disk.content(path), ({ bytes, at, view }) => {
      last = base + recordOffset(bytes, at)
      entries.set(last, entryOf(bytes.subarray(view.valueStart, view.valueEnd)))
    })
  }
  return { entries, last }
}

function entryOf(value: Uint8Array): StoredEntry {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const type = view.getUint8(1)
  const data = value.subarray(HEADER_BYTES)
  const term = Number(view.getBigUint64(10))
  const print = `${type} ${data.length} ${crc32c(data, 0, data.length)}`
  return { term, print, voters: type === CONFIGURATION ? votersOf(data) : undefined }
}

/** The file's own words, which are those of Go's: suffrage 0 is a voter's. */
type StoredMember = { readonly Suffrage?: unknown; readonly ID?: unknown }

function votersOf(data: Uint8Array): string[] {
  const stored: unknown = JSON.parse(Buffer.from(data).toString())
  if (typeof stored !== 'object' || stored === null || !('Servers' in stored)) return []
  const members = Array.isArray(stored.Servers) ? (stored.Servers as readonly StoredMember[]) : []
  return members.flatMap(({ Suffrage, ID }) =>
    Suffrage === 0 && typeof ID === 'string' ? [ID] : [],
  )
}

/** Term and vote as the disk has them; term 0 when nothing was written. */
export function storedVote(disk: SimDisk): {
  readonly term: number
  readonly votedFor: string | undefined
} {
  const path = `${DIRECTORY}/hard-state`
  if (!disk.files(DIRECTORY).includes(path)) return { term: 0, votedFor: undefined }
  const [term = '0', vote = '-'] = Buffer.from(disk.content(path)).toString().split(' ')
  return { term: Number(term), votedFor: vote === '-' ? undefined : vote.slice(1) }
}
