/**
 * The port through which the commit log sees storage. The real implementation is
 * `server/src/adapters/node-disk.ts`, the simulated one `sim/src/disk.ts`; both pass the
 * behaviour suite `log/src/disk.suite.ts`. Paths are absolute, `/`-separated, already safe.
 *
 * Every failure is a rejected promise (or, for `writeSync`, a throw) with a `DiskError`.
 * After a failed `sync` the file's unsynced bytes are in an unknown state for ever: the kernel
 * may report success on the next try although the bytes are gone [reliability 0.7, D7]. The
 * caller must close the file and read it again; it never retries.
 */
export interface Disk {
  /** Opens a file for reading and writing. `create` makes it when it is missing. */
  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile>
  /** Creates a directory and its missing parents; fine when it exists. */
  makeDirectory(path: string): Promise<void>
  /** Entries of a directory in ascending name order (by UTF-16 code unit). */
  list(path: string): Promise<readonly DiskEntry[]>
  /** Replaces `to` atomically. Durable only after `syncDirectory` of the parent. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file; fine when it is already gone. */
  remove(path: string): Promise<void>
  /** Removes a directory with everything in it; fine when it is already gone. */
  removeTree(path: string): Promise<void>
  /** Makes creates, renames and removes in this directory durable. */
  syncDirectory(path: string): Promise<void>
}

export interface DiskEntry {
  readonly name: string
  readonly kind: 'file' | 'directory'
}

/** One open file. Positions are absolute; there is no file cursor. */
export interface DiskFile {
  /** Reads up to `length` bytes into `into` at `offset`; 0 at the end of the file. */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Writes up to `length` bytes; may write fewer (short write), at least one. */
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** The same on the calling thread: for small writes, where a thread hop costs more than the copy. */
  writeSync(bytes: Uint8Array, offset: number, length: number, position: number): number
  /** Cuts the file, or extends it with zeros. */
  truncate(length: number): Promise<void>
  /** fdatasync: resolves when all bytes written before the call are durable. */
  sync(): Promise<void>
  size(): Promise<number>
  /** Idempotent. Never fails: nothing that matters may depend on close. */
  close(): Promise<void>
}

export type DiskErrorCode =
  | 'not-found'
  | 'exists'
  | 'no-space'
  | 'io'
  | 'too-many-open-files'
  | 'read-only'
  | 'permission'
  | 'other'

export class DiskError extends Error {
  readonly code: DiskErrorCode
  readonly path: string
  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}
