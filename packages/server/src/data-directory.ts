import { dirname, resolve } from 'node:path'
import { DiskError, type Disk } from '@liftbridge/log'
import { createNodeDisk } from './adapters/node-disk.ts'
import type { Random } from './clock.ts'
import { DataDirectoryError } from './data-directory-error.ts'
import { openIdentity } from './data-directory-identity.ts'
import { lockDataDirectory } from './data-directory-lock.ts'

export interface DataDirectoryOptions {
  readonly path: string
  /** `clustering.server.id`, if the configuration has it. */
  readonly configuredServerId?: string | undefined
  readonly random: Random
}

/** A data directory that this process alone holds. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  readonly serverId: string
  /** The identity was chosen now: the directory was unused. */
  readonly isNew: boolean
  /** Lets another process have it; this one must have closed all files in it. Idempotent. */
  release(): Promise<void>
}

/** Other users have no business with the identity. */
const IDENTITY_MODE = 0o600

/**
 * Creates the data directory if it is missing, takes its lock and reads or chooses the server's
 * identity. Fails with DataDirectoryError, whose text names the way out.
 */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const path = resolve(options.path)
  try {
    return await open(path, options)
  } catch (error) {
    if (error instanceof DataDirectoryError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const text = `data.dir ${path} cannot be used: ${reason}; set data.dir (or --data-dir) to a folder that this process may write`
    throw new DataDirectoryError('unusable', path, text, { cause: error })
  }
}

async function open(path: string, options: DataDirectoryOptions): Promise<DataDirectory> {
  const disk = createNodeDisk({ fileMode: IDENTITY_MODE })
  await makeDurableDirectory(disk, path)
  const lock = await lockDataDirectory(path)
  try {
    const { configuredServerId, random } = options
    const identity = await openIdentity({ disk, path, configuredServerId, random })
    return { path, ...identity, release: () => lock.release() }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Creates a directory so that it, and every parent it made, survives a power cut. */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  const parents: string[] = []
  for (let missing = path; !(await isDirectory(disk, missing)); missing = dirname(missing)) {
    parents.push(dirname(missing))
  }
  await disk.makeDirectory(path)
  for (const parent of parents.toReversed()) await disk.syncDirectory(parent)
}

async function isDirectory(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.list(path)
    return true
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return false
    // It is there, but not ours to list: whatever is wrong will show when it is used.
    if (error instanceof DiskError && error.code === 'permission') return true
    throw error
  }
}
