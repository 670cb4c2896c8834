/**
 * One run of a server on its data directory: a number larger than that of any run before, whether
 * the one before ended in order, and since when the directory has been there [R8, KIP-903]. Kept in
 * a small file, which is a hint: when it is lost the run counts as one after an unclean end, in a
 * directory that may have held nothing before [T3].
 */
import { DiskError, type Disk } from '@liftbridge/log'
import type { Clock } from '../clock.ts'
import { DataDirectoryError } from '../data-directory-error.ts'

const FILE = 'run'
const MAX_BYTES = 512
/** Logs that one run opens before it takes numbers of the next; runs are counted in seconds. */
const OPENINGS_PER_RUN = 2 ** 21

type Stored = {
  readonly run: number
  readonly ended: boolean
  /** Metadata index up to which partitions may be older than the directory; -1 when not known yet. */
  readonly born: number
  readonly serverId: string
}

export type ServerRunOptions = {
  readonly disk: Disk
  /** The data directory; exists. */
  readonly directory: string
  readonly serverId: string
  readonly clock: Clock
}

export class ServerRun {
  readonly #options: ServerRunOptions
  readonly #run: number
  readonly endedCleanly: boolean
  #born: number
  #started = Number.POSITIVE_INFINITY
  #openings = 0

  private constructor(options: ServerRunOptions, before: Stored | undefined) {
    this.#options = options
    // After a loss of the file the clock keeps it rising; a clock that stepped back does no harm,
    // as long as the file is there.
    const seconds = Number(options.clock.wallNs() / 1_000_000_000n)
    this.#run = Math.max((before?.run ?? 0) + 1, seconds)
    this.endedCleanly = before?.ended ?? false
    this.#born = before?.born ?? -1
  }

  /**
   * Begins a run: from here on, until `end`, it counts as one that did not end in order. Rejects
   * with a DataDirectoryError when the directory was that of another server: the identity file has
   * no checksum, and a server that is not who it was would wait for ever to be taken in, or hold
   * nothing of what lies in its directory [D-59].
   */
  static async begin(options: ServerRunOptions): Promise<ServerRun> {
    const before = await read(options)
    if (before !== undefined) assertSame(before.serverId, options)
    const run = new ServerRun(options, before)
    await run.#store(false)
    return run
  }

  /** Whether `noteCaughtUp` has never been called in this directory. */
  get isNewborn(): boolean {
    return this.#born < 0
  }

  /** See `Replication.run.bornAtIndex`. */
  get bornAtIndex(): number {
    return this.isNewborn ? Number.POSITIVE_INFINITY : this.#born
  }

  /** See `Replication.run.startedAtIndex`. */
  get startedAtIndex(): number {
    return this.#started
  }

  /**
   * Notes how far the metadata was when this run had caught up with it; the first time in the life
   * of a data directory for good: what is older was never held here.
   */
  async noteCaughtUp(index: number): Promise<void> {
    this.#started = index
    if (!this.isNewborn) return
    this.#born = index
    await this.#store(false)
  }

  nextIncarnation(): number {
    return this.#run * OPENINGS_PER_RUN + this.#openings++
  }

  /**
   * The server ends in order: every log has been closed. A run that ends before it had caught up
   * with the metadata has opened none, so it leaves what was said of the run before it.
   */
  end(): Promise<void> {
    return this.#store(this.endedCleanly || Number.isFinite(this.#started))
  }

  async #store(ended: boolean): Promise<void> {
    const { disk, directory, serverId } = this.#options
    const text = `${this.#run} ${ended ? 'ended' : 'running'} ${this.#born} ${serverId}\n`
    const temporary = `${directory}/${FILE}.tmp`
    const file = await disk.open(temporary, { create: true })
    try {
      await file.truncate(0)
      const bytes = Buffer.from(text, 'latin1')
      file.writeSync(bytes, 0, bytes.length, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, `${directory}/${FILE}`)
    await disk.syncDirectory(directory)
  }
}

async function read({ disk, directory }: ServerRunOptions): Promise<Stored | undefined> {
  const bytes = Buffer.alloc(MAX_BYTES)
  let length: number
  try {
    const file = await disk.open(`${directory}/${FILE}`)
    try {
      length = await file.read(bytes, 0, MAX_BYTES, 0)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return undefined
    throw error
  }
  const text = bytes.toString('latin1', 0, length)
  const found = /^(\d{1,10}) (ended|running) (-1|\d{1,16}) (\S+)\n$/.exec(text)
  if (found === null) return undefined
  const [, run, ended, born, serverId = ''] = found
  return { run: Number(run), ended: ended === 'ended', born: Number(born), serverId }
}

function assertSame(before: string, { directory, serverId }: ServerRunOptions): void {
  if (before === serverId) return
  throw new DataDirectoryError(
    'identity-differs',
    directory,
    `the identity file of ${directory} says ${serverId}, but the directory belongs to server ` +
      `${before}: restore that file, or remove it and start once with clustering.server.id set ` +
      `to ${before}`,
  )
}
