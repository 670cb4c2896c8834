import { dirname } from 'node:path'
import { DiskError, type Disk, type DiskFile } from '@liftbridge/log'
import { create, decodeMessage, internal, toBinary } from '@liftbridge/wire'
import type { Random } from './clock.ts'
import { DataDirectoryError } from './data-directory-error.ts'

/** Same name and content as in Go Liftbridge, so that its data directories keep their identity. */
const IDENTITY_FILE = 'liftbridge'

/** Directories whose presence means that some server has stored data here. */
const DATA_DIRECTORIES: ReadonlySet<string> = new Set(['streams', 'raft'])

/** No identity is anywhere near as large; a larger file is something else. */
const IDENTITY_MAX_BYTES = 4096

/** Ids are tokens of NATS subjects [reliability A3]. */
const ID_SYNTAX = /^[A-Za-z0-9_-]{1,128}$/

export interface IdentityOptions {
  readonly disk: Disk
  /** The data directory; it exists. */
  readonly path: string
  /** What the configuration says, if it says anything. */
  readonly configuredServerId?: string | undefined
  readonly random: Random
}

export interface Identity {
  readonly serverId: string
  /** It was chosen now, not read. */
  readonly isNew: boolean
}

/**
 * Reads the server's identity, or chooses and stores one if the directory is unused. It is
 * durable before it is returned. A file that cannot be read, or that contradicts the
 * configuration, is an error and never replaced: under another id a server would be a stranger to
 * its own partitions [D-59].
 */
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { disk, path, configuredServerId } = options
  const file = `${path}/${IDENTITY_FILE}`
  if (configuredServerId !== undefined && !ID_SYNTAX.test(configuredServerId)) {
    throw new DataDirectoryError(
      'identity-invalid',
      file,
      `the configured server id ${JSON.stringify(configuredServerId)} cannot be used: ` +
        'set clustering.server.id to 1 to 128 letters, digits, - and _',
    )
  }
  const stored = await readIdentity(disk, file)
  if (stored === undefined) {
    if (configuredServerId === undefined) await assertUnused(disk, path)
    const serverId = configuredServerId ?? options.random.id()
    await storeIdentity(disk, file, serverId)
    return { serverId, isNew: true }
  }
  if (configuredServerId !== undefined && configuredServerId !== stored) {
    throw new DataDirectoryError(
      'identity-differs',
      file,
      `the configuration names server ${configuredServerId}, but ${path} belongs to server ` +
        `${stored}: set clustering.server.id to ${stored} or leave it out, or choose another ` +
        'data.dir',
    )
  }
  return { serverId: stored, isNew: false }
}

async function readIdentity(disk: Disk, path: string): Promise<string | undefined> {
  let file: DiskFile
  try {
    file = await disk.open(path)
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return undefined
    throw error
  }
  try {
    const size = await file.size()
    if (size > IDENTITY_MAX_BYTES) throw unreadable(path, `it has ${size} bytes`)
    return parseIdentity(path, await readAll(file, size))
  } finally {
    await file.close()
  }
}

async function readAll(file: DiskFile, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let filled = 0
  while (filled < size) {
    const count = await file.read(bytes, filled, size - filled, filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}

function parseIdentity(path: string, bytes: Uint8Array): string {
  if (bytes.length === 0) throw unreadable(path, 'it is empty')
  const decoded = decodeMessage(internal.ServerStateSchema, bytes)
  if (decoded.kind === 'rejected') throw unreadable(path, decoded.reason)
  const { serverID } = decoded.message
  if (!ID_SYNTAX.test(serverID)) {
    throw unreadable(path, `it holds ${JSON.stringify(serverID)}, which is no server id`)
  }
  return serverID
}

function unreadable(path: string, reason: string): DataDirectoryError {
  return new DataDirectoryError(
    'identity-unreadable',
    path,
    `the identity file ${path} is damaged (${reason}): restore it, or remove it and start once ` +
      'with clustering.server.id set to the id this server had',
  )
}

async function assertUnused(disk: Disk, path: string): Promise<void> {
  for (const entry of await disk.list(path)) {
    if (!DATA_DIRECTORIES.has(entry.name) || entry.kind !== 'directory') continue
    if ((await disk.list(`${path}/${entry.name}`)).length === 0) continue
    throw new DataDirectoryError(
      'identity-missing',
      `${path}/${IDENTITY_FILE}`,
      `${path} holds ${entry.name} but no identity file ${path}/${IDENTITY_FILE}: restore it, ` +
        'or start once with clustering.server.id set to the id this server had',
    )
  }
}

/** Temporary file, sync, rename, sync of the directory [reliability T5]. */
async function storeIdentity(disk: Disk, path: string, serverId: string): Promise<void> {
  const message = create(internal.ServerStateSchema, { serverID: serverId })
  const bytes = toBinary(internal.ServerStateSchema, message)
  const temporary = `${path}.new`
  const file = await disk.open(temporary, { create: true })
  try {
    // A crash may have left a longer one.
    await file.truncate(0)
    let written = 0
    while (written < bytes.length) {
      written += await file.write(bytes, written, bytes.length - written, written)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(temporary, path)
  await disk.syncDirectory(dirname(path))
}
