/** A partition on a disk in memory whose syncs and writes a test can hold up or let fail. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { CommitLog, type Disk, type DiskEntry, type DiskFile } from '@liftbridge/log'
import {
  api,
  create,
  decodePublishRequest,
  decodeText,
  PublishView,
  toBinary,
  type AckFields,
  type MessageInitShape,
} from '@liftbridge/wire'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeDisk } from '../adapters/node-disk.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { silentLogger } from '../logging/logger.ts'
import type { AckSink, AckSource } from './ack.ts'
import { arrivalAt } from './arrival.ts'
import { IngestBudget } from './ingest-budget.ts'
import { Partition, type PartitionSettings } from './partition.ts'

export type Answer = { readonly id: string; readonly offset: number; readonly error: number }

/** Collects answers in the order of delivery. */
export class Collector implements AckSink {
  readonly answers: Answer[] = []
  #waiting: { count: number; resolve: () => void } | undefined

  deliver(_source: AckSource, ack: AckFields): void {
    const id = decodeText(ack.correlationId, ack.correlationIdStart, ack.correlationIdEnd)
    this.answers.push({ id, offset: ack.offset, error: ack.ackError })
  }

  flush(): void {
    if (this.#waiting && this.answers.length >= this.#waiting.count) this.#waiting.resolve()
  }

  whenAnswered(count: number): Promise<void> {
    if (this.answers.length >= count) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting = { count, resolve }
    })
  }
}

/** Holds up whoever comes to it. */
export class Gate {
  readonly #arrived: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers<void>()

  /** Resolves when somebody stands before it. */
  get reached(): Promise<void> {
    return this.#arrived.promise
  }

  pass(): Promise<void> {
    this.#arrived.resolve()
    return this.#opened.promise
  }

  /** Lets everybody through, or fails them. */
  open(error?: Error): void {
    // Nobody may stand there.
    this.#opened.promise.catch(() => undefined)
    if (error) this.#opened.reject(error)
    else this.#opened.resolve()
  }
}

/** The real disk, with syncs and writes of `.log` files that can be held up or fail. */
export class FaultyDisk implements Disk {
  readonly #disk: Disk = createNodeDisk()
  /** Which files the faults are for. */
  concerns: (path: string) => boolean = (path) => path.endsWith('.log')
  syncs = 0
  /** Positions of all writes. */
  readonly writes: number[] = []
  syncGate: Gate | undefined
  writeGate: Gate | undefined
  writeError: Error | undefined
  syncError: Error | undefined
  openError: Error | undefined
  renameError: Error | undefined

  closeGate(): Gate {
    this.syncGate = new Gate()
    return this.syncGate
  }

  holdWrites(): Gate {
    this.writeGate = new Gate()
    return this.writeGate
  }

  failWrites(error: Error | undefined): void {
    this.writeError = error
  }

  async open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile> {
    if (this.openError && this.concerns(path)) throw this.openError
    const file = await this.#disk.open(path, options)
    return this.concerns(path) ? new FaultyFile(this, file) : file
  }

  makeDirectory(path: string): Promise<void> {
    return this.#disk.makeDirectory(path)
  }

  list(path: string): Promise<readonly DiskEntry[]> {
    return this.#disk.list(path)
  }

  async rename(from: string, to: string): Promise<void> {
    if (this.renameError && this.concerns(to)) throw this.renameError
    await this.#disk.rename(from, to)
  }

  remove(path: string): Promise<void> {
    return this.#disk.remove(path)
  }

  removeTree(path: string): Promise<void> {
    return this.#disk.removeTree(path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#disk.syncDirectory(path)
  }
}

class FaultyFile implements DiskFile {
  readonly #disk: FaultyDisk
  readonly #file: DiskFile

  constructor(disk: FaultyDisk, file: DiskFile) {
    this.#disk = disk
    this.#file = file
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#file.read(into, offset, length, position)
  }

  async write(bytes: Uint8Array, offset: number, length: number, position: number) {
    await this.#disk.writeGate?.pass()
    if (this.#disk.writeError) throw this.#disk.writeError
    this.#disk.writes.push(position)
    return this.#file.write(bytes, offset, length, position)
  }

  writeSync(bytes: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#disk.writeError) throw this.#disk.writeError
    this.#disk.writes.push(position)
    return this.#file.writeSync(bytes, offset, length, position)
  }

  truncate(length: number): Promise<void> {
    return this.#file.truncate(length)
  }

  async sync(): Promise<void> {
    await this.#disk.syncGate?.pass()
    if (this.#disk.syncError) throw this.#disk.syncError
    this.#disk.syncs++
    await this.#file.sync()
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

export type PublishInit = MessageInitShape<typeof api.PublishRequestSchema>

export type OpenPartition = {
  readonly partition: Partition
  readonly log: CommitLog
  readonly disk: FaultyDisk
  /** Resolves with the reason when the partition has fenced itself. */
  readonly fenced: Promise<string>
  readonly publish: (request: PublishInit, sink: AckSink | undefined) => void
}

export async function openPartition(
  t: TestContext,
  settings: Partial<PartitionSettings> = {},
  budget: IngestBudget = new IngestBudget(10_000_000),
): Promise<OpenPartition> {
  const directory = await mkdtemp(join(tmpdir(), 'liftbridge-partition-'))
  const disk = new FaultyDisk()
  const log = await CommitLog.open({ disk, directory })
  t.after(async () => {
    await log.close()
    await rm(directory, { recursive: true, force: true })
  })
  const fenced = Promise.withResolvers<string>()
  const partition = new Partition({
    stream: 'orders',
    incarnation: 1,
    partition: 0,
    streamSubject: 'orders',
    subject: 'orders',
    group: '',
    log,
    cipher: undefined,
    budget,
    ackBudget: new IngestBudget(10_000_000),
    clock: createSystemClock(),
    logger: silentLogger,
    listen: () => () => undefined,
    flush: () => Promise.resolve(),
    onFenced: fenced.resolve,
    settings: {
      syncPolicy: 'interval',
      syncMaxMessages: 0,
      minIsr: 1,
      optimisticConcurrency: false,
      maxRecordBytes: () => 1_048_576,
      batch: { maxMessages: 8, maxTimeMs: 0 },
      queueMaxMessages: 10_000,
      queueMaxBytes: 1_000_000,
      acksMaxBytes: 10_000_000,
      ...settings,
    },
  })
  const roles = { id: 0, replicas: ['a'], isr: ['a'], leader: 'a', leaderEpoch: 1, epoch: 1 }
  await partition.begin(roles, {
    continues: false,
    proven: true,
    onlyUnsynced: false,
    damaged: false,
    knownAtStart: -1,
  })
  const view = new PublishView()
  const arrival = arrivalAt('orders', '')
  return {
    partition,
    log,
    disk,
    fenced: fenced.promise,
    publish: (request, sink) => {
      const whole = create(api.PublishRequestSchema, { expectedOffset: -1n, ...request })
      assert.ok(decodePublishRequest(view, toBinary(api.PublishRequestSchema, whole)), view.problem)
      partition.accept(view, arrival, sink)
    },
  }
}
