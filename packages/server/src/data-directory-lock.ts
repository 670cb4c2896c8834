import * as fs from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataDirectoryError } from './data-directory-error.ts'

/**
 * Holds "<pid> <host>" of the holder, for the text a refused process prints; proves nothing. It is
 * there while the directory is held, and after a crash.
 */
const HOLDER_FILE = 'lock'
const SOCKET_FILE = 'lock.socket'

/** The longest path the kernel binds a socket to is 107 bytes on Linux, 103 on macOS. */
const SOCKET_PATH_MAX_BYTES = 100

/** A live holder's kernel accepts at once, even while the holder is stopped. */
const CONNECT_TIMEOUT_MS = 1_000

export interface DataDirectoryLock {
  /** Idempotent. */
  release(): Promise<void>
}

/**
 * Refuses a second process on the same data directory [reliability T5, D-68]. The lock is made of
 * sockets nobody talks to, because the kernel closes them with the process however it dies, so
 * there is nothing stale to clean up and nothing to wait for:
 *
 * 1. a name outside the file system, made of the directory's device and inode (an abstract socket
 *    on Linux, a pipe on Windows): taking it is atomic;
 * 2. a socket file in the directory, which also keeps out processes of other containers that
 *    share the volume but not the name. It stays behind after a crash; one that refuses
 *    connections has no owner and is replaced.
 *
 * Where sockets cannot be had, a process id that is still alive in the holder file decides.
 */
export async function lockDataDirectory(path: string): Promise<DataDirectoryLock> {
  const servers: Server[] = []
  let isHolder = false
  const release = async (): Promise<void> => {
    // While the name is ours, so that it cannot be the next holder's.
    if (isHolder) removeHolder(path)
    isHolder = false
    // The socket file first: once the name is free, a file of that name is somebody else's.
    for (const server of servers.splice(0).toReversed()) await closeServer(server)
  }
  try {
    const name = await take(kernelName(path))
    if (name === 'taken') throw inUse(path)
    if (name !== 'unavailable') servers.push(name)
    const file = process.platform === 'win32' ? 'unavailable' : await takeSocketFile(path)
    if (file === 'taken') throw inUse(path)
    if (file !== 'unavailable') servers.push(file)
    if (servers.length === 0) assertHolderIsDead(path)
    fs.writeFileSync(join(path, HOLDER_FILE), `${process.pid} ${hostname()}\n`)
    isHolder = true
    return { release }
  } catch (error) {
    await release()
    throw error
  }
}

function kernelName(path: string): string | undefined {
  const { dev, ino } = fs.statSync(path, { bigint: true })
  if (process.platform === 'linux') return `\0liftbridge-data-${dev}-${ino}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\liftbridge-data-${dev}-${ino}`
  return undefined
}

type Taken = Server | 'taken' | 'unavailable'

function take(address: string | undefined): Promise<Taken> {
  if (address === undefined) return Promise.resolve('unavailable')
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error) => resolve(isInUse(error) ? 'taken' : 'unavailable'))
    server.listen({ path: address, exclusive: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}

/**
 * The first step made this process the only one of its container that looks at the file. Two
 * containers that start in the same millisecond after a crash could still both replace it.
 */
async function takeSocketFile(path: string): Promise<Taken> {
  const directory = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    const address = socketAddress(path, directory)
    const first = await take(address)
    if (first !== 'taken') return first
    if (await hasOwner(address)) return 'taken'
    fs.rmSync(address, { force: true })
    return await take(address)
  } finally {
    fs.closeSync(directory)
  }
}

function socketAddress(path: string, directory: number): string {
  const address = join(path, SOCKET_FILE)
  if (Buffer.byteLength(address) <= SOCKET_PATH_MAX_BYTES) return address
  if (process.platform === 'linux') return `/proc/self/fd/${directory}/${SOCKET_FILE}`
  const { dev, ino } = fs.statSync(path, { bigint: true })
  return join(tmpdir(), `liftbridge-${dev}-${ino}.socket`)
}

function hasOwner(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: address })
    const answer = (isOwned: boolean): void => {
      socket.destroy()
      resolve(isOwned)
    }
    // An owner whose queue is full or who is not ours to talk to is an owner all the same.
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => answer(true))
    socket.once('connect', () => answer(true))
    socket.once('error', (error) => answer(!isRefused(error)))
  })
}

function isInUse(error: Error): boolean {
  return 'code' in error && error.code === 'EADDRINUSE'
}

function isRefused(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT')
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

function holder(path: string): { readonly pid: number; readonly host: string } | undefined {
  let text: string
  try {
    text = fs.readFileSync(join(path, HOLDER_FILE), 'latin1')
  } catch {
    // Only the text of the refusal, or a lock without sockets, depends on this file.
    return undefined
  }
  const [, pid, host] = /^([1-9][0-9]{0,9}) ([!-~]+)\n$/.exec(text) ?? []
  return pid === undefined || host === undefined ? undefined : { pid: Number(pid), host }
}

function removeHolder(path: string): void {
  try {
    fs.rmSync(join(path, HOLDER_FILE), { force: true })
  } catch {
    // The file system may have become read-only; a file that stays behind misleads nobody but readers.
  }
}

function assertHolderIsDead(path: string): void {
  const last = holder(path)
  if (last === undefined || last.host !== hostname() || last.pid === process.pid) return
  try {
    process.kill(last.pid, 0)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
  }
  throw inUse(path)
}

function inUse(path: string): DataDirectoryError {
  const by = holder(path)
  const who = by === undefined ? 'another process' : `process ${by.pid} on ${by.host}`
  const text = `the data directory ${path} is in use by ${who}: stop it, or choose another data.dir`
  return new DataDirectoryError('in-use', path, text)
}
