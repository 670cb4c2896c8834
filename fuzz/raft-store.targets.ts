/**
 * What a server reads back of its Raft state when it starts. Whatever the files hold, the opening
 * ends with the state as it was stored or with an error of its own type, and no file is lost by it.
 */
import assert from 'node:assert/strict'
import { crc32c } from '@liftbridge/log'
import type { Entry, Persist } from '@liftbridge/raft'
import { DiskError } from '../packages/log/src/disk.ts'
import { RecordBatch } from '../packages/log/src/format/record-batch.ts'
import { MemoryDisk } from '../packages/log/src/memory-disk.suite.ts'
import type { Clock } from '../packages/server/src/clock.ts'
import { silentLogger } from '../packages/server/src/logging/logger.ts'
import { RaftStore } from '../packages/server/src/raft/store/raft-store.ts'
import { sealHardState } from '../packages/server/src/raft/store/hard-state-file.ts'
import { encodeEntry, parseJson } from '../packages/server/src/raft/store/stored-entry.ts'
import { RaftStoreUnreadable } from '../packages/server/src/raft/store/unreadable.ts'
import type { FuzzTarget } from './target.ts'

const DIRECTORY = '/data/raft'
const HARD_STATE = `${DIRECTORY}/hard-state`
const LOG = `${DIRECTORY}/log/00000000000000000001`
const SEGMENT = `${LOG}/00000000000000000000.log`

/** Nothing waits here for time to pass. */
const clock: Clock = {
  wallNs: () => 1_700_000_000_000_000_000n,
  monotonicMs: () => 0,
  after: () => ({ cancel: () => {} }),
}

const configuration = { servers: [{ id: 'a', address: 'a', suffrage: 'voter' as const }] }

const entries: readonly Entry[] = [
  { kind: 'configuration', index: 1, term: 1, configuration, appendedAtNs: 7n },
  { kind: 'noop', index: 2, term: 1, appendedAtNs: 8n },
  { kind: 'command', index: 3, term: 2, data: Uint8Array.of(8, 5), appendedAtNs: 9n },
]

const change: Persist = {
  sequence: 1,
  hardState: { term: 2, votedFor: 'a' },
  resetTo: undefined,
  truncateFrom: undefined,
  append: entries,
  compactThrough: undefined,
}

const optionsOver = (disk: MemoryDisk) => ({
  disk,
  directory: DIRECTORY,
  clock,
  logger: silentLogger,
  snapshotRetain: 2,
  reserveBytes: 0,
})

/** The files of a server with three entries and a snapshot of the first two. */
async function storedFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  const disk = new MemoryDisk()
  const { store } = await RaftStore.open(optionsOver(disk))
  await store.persist(change)
  const position = { index: 2, term: 1, configuration, configurationIndex: 1 }
  await store.saveSnapshot(position, Uint8Array.of(1, 2, 3))
  await store.close()
  return filesOf(disk)
}

const filesOf = (disk: MemoryDisk): ReadonlyMap<string, Uint8Array> =>
  new Map(disk.names(DIRECTORY).map((name) => [name, disk.contents(`${DIRECTORY}/${name}`)]))

const files = await storedFiles()

const fileNamed = (end: string): { readonly path: string; readonly bytes: Uint8Array } => {
  for (const [name, bytes] of files) {
    if (name.endsWith(end)) return { path: `${DIRECTORY}/${name}`, bytes }
  }
  throw new Error(`no ${end}`)
}

const hardState = fileNamed('hard-state')
const meta = fileNamed('meta.json')
const state = fileNamed('state.bin')

type Stored = Pick<Awaited<ReturnType<typeof RaftStore.open>>, 'stored' | 'state'>

/** What the opening gives; undefined when it refuses the files. */
async function open(disk: MemoryDisk): Promise<Stored | undefined> {
  try {
    const { store, stored, state: snapshot } = await RaftStore.open(optionsOver(disk))
    await store.close()
    return { stored, state: snapshot }
  } catch (error) {
    if (error instanceof RaftStoreUnreadable || error instanceof DiskError) return undefined
    throw error
  }
}

/** Puts `bytes` in the place of one of the files and opens the store over them, twice. */
async function openOver(path: string, bytes: Uint8Array): Promise<Stored | undefined> {
  const disk = new MemoryDisk()
  for (const [name, content] of files) disk.put(`${DIRECTORY}/${name}`, content)
  disk.put(path, bytes)
  const opened = await open(disk)
  for (const [name, content] of files) {
    const at = `${DIRECTORY}/${name}`
    // Files of the log are repaired; all others stay as they were found, the bad one too [M9].
    if (!at.startsWith(LOG))
      assert.deepEqual(disk.contents(at), at === path ? copy(bytes) : copy(content))
  }
  const again = await open(disk)
  // A refusal stays one: the first start has not made damage look like what was stored.
  assert.deepEqual(again, opened)
  return opened
}

const copy = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

async function runHardState(bytes: Uint8Array): Promise<void> {
  const opened = await openOver(HARD_STATE, bytes)
  if (opened !== undefined) assert.deepEqual(opened.stored.hardState, change.hardState)
}

/** What nobody but a server of another make could have written: the checksum fits. */
async function runSealedHardState(bytes: Uint8Array): Promise<void> {
  const sealed = sealHardState(copy(bytes).toString())
  const opened = await openOver(HARD_STATE, Buffer.from(sealed))
  if (opened !== undefined) assert.ok(opened.stored.hardState.term >= 2)
}

/** The mark says that all entries were durable: they are there, or the server does not start. */
async function runSegment(bytes: Uint8Array): Promise<void> {
  const opened = await openOver(SEGMENT, bytes)
  if (opened !== undefined) assert.deepEqual(opened.stored.entries, entries)
}

/** Reused: to make one costs more than to open the log. */
const batch = new RecordBatch()

/** A log whose last record is sound and holds any bytes. */
async function runEntry(bytes: Uint8Array): Promise<void> {
  batch.clear()
  for (const entry of entries.slice(0, 2)) batch.addRecord({ value: encodeEntry(entry) })
  batch.addRecord({ value: bytes })
  batch.stamp(0, { high: 0, low: 1 }, 1)
  const opened = await openOver(SEGMENT, batch.bytes.slice(0, batch.byteLength))
  if (opened === undefined) return
  assert.deepEqual(opened.stored.entries.slice(0, 2), entries.slice(0, 2))
  assert.equal(opened.stored.entries[2]?.index, 3)
}

/** The log reaches back to the first entry, so that a damaged snapshot is not needed. */
async function runMeta(bytes: Uint8Array): Promise<void> {
  const opened = await openOver(meta.path, bytes)
  assert.deepEqual(opened?.stored.entries, entries)
}

/** JSON with a seal that fits. */
async function runSealedMeta(bytes: Uint8Array): Promise<void> {
  const value = parseJson(bytes)
  if (typeof value !== 'object' || value === null) return runMeta(bytes)
  const text = Buffer.from(JSON.stringify(value))
  const seal = crc32c(text).toString(16).padStart(8, '0')
  await runMeta(Buffer.from(JSON.stringify({ ...value, Seal: seal })))
}

async function runState(bytes: Uint8Array): Promise<void> {
  const opened = await openOver(state.path, bytes)
  assert.deepEqual(opened?.stored.entries, entries)
  if (opened?.state !== undefined) assert.deepEqual(copy(opened.state), copy(state.bytes))
}

const unsealedHardState = hardState.bytes.slice(0, -10)
const { Seal: _seal, ...unsealedMeta } = JSON.parse(copy(meta.bytes).toString()) as {
  readonly Seal: string
}

/** Two openings cost some 200 times a parse. */
const share = 0.01

const words = ['Configuration', 'Servers', 'Suffrage', 'Index', 'Term', 'Size', 'CRC', 'null', '-1']
const dictionary = words.map((word) => Buffer.from(word))

export const targets: readonly FuzzTarget[] = [
  { name: 'raft store: hard state', seeds: [hardState.bytes], run: runHardState, share },
  {
    name: 'raft store: hard state, sealed',
    seeds: [unsealedHardState, Buffer.from('2 -'), Buffer.from('2 =%41')],
    run: runSealedHardState,
    share,
  },
  { name: 'raft store: file of entries', seeds: [fileNamed('.log').bytes], run: runSegment, share },
  {
    name: 'raft store: one entry',
    seeds: entries.map((entry) => encodeEntry(entry)),
    dictionary,
    run: runEntry,
    share,
  },
  { name: 'raft store: snapshot meta', seeds: [meta.bytes], dictionary, run: runMeta, share },
  {
    name: 'raft store: snapshot meta, sealed',
    seeds: [Buffer.from(JSON.stringify(unsealedMeta))],
    dictionary,
    run: runSealedMeta,
    share,
  },
  { name: 'raft store: snapshot state', seeds: [state.bytes], run: runState, share },
]
