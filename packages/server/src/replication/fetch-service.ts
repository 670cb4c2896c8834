/**
 * Where a partition's leader hears its replicas: fetches on `<ns>.<stream>.<partition>.replicate`,
 * questions about leader epochs on `….offset`. What a fetch means is the core's to say; this reads
 * and writes the wire and the log. Whatever arrives, the worst that happens is no answer: the
 * replica asks again.
 */
import { CorruptSegmentError, type CommitLog, type LogReader } from '@liftbridge/log'
import type { FetchAnswer, FetchInput } from '@liftbridge/replication'
import {
  decodeLeaderEpochOffsetRequest,
  decodeReplicationRequest,
  encodeLeaderEpochOffsetResponse,
  replicationHeaderBytes,
  writeReplicationHeader,
  type ClusterSubjects,
  type ReplicationResponseHeader,
} from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { gatherRecords } from './gather-records.ts'

export type FetchServiceOptions = {
  readonly stream: string
  readonly partition: number
  readonly serverId: string
  readonly leaderEpoch: number
  readonly bus: Bus
  /** Where answers leave, behind the forwarded messages of what they carry; see `Replication`. */
  readonly answers: Bus
  readonly subjects: ClusterSubjects
  readonly log: CommitLog
  /** Records may be missing between others: the stream is compacted. */
  readonly gaps: boolean
  /** Bound of a response; a single record may exceed it, up to what NATS takes [LB 7.A7]. */
  readonly maxResponseBytes: () => number
  readonly clock: Clock
  readonly logger: Logger
  /** Hands a fetch to the core, which answers through `answer`. */
  readonly onFetch: (fetch: FetchInput) => void
  /** The log holds records that do not verify, or lacks some: its server should not lead [T2]. */
  readonly onDamaged: (error: unknown) => void
}

/** The log of a stream that is not compacted has a hole. */
class RecordsMissing extends Error {
  constructor(first: number, last: number) {
    super(`records ${first} to ${last} are missing`)
    this.name = 'RecordsMissing'
  }
}

/** A fetch that the core has not answered yet. */
type Asked = {
  readonly reply: string
  /** A server of ours gets the bounds of the log; a Go server could not read them. */
  readonly wantsBounds: boolean
}

/** The place of one replica in the log. */
type Place = {
  reader: LogReader | undefined
  /** A read from disk is under way. */
  reading: boolean
  /** Came while reading; only the latest matters, since a replica asks again only after a timeout. */
  next: Due | undefined
}

type Due = { readonly answer: FetchAnswer; readonly asked: Asked }

export class FetchService {
  readonly #options: FetchServiceOptions
  readonly #subscriptions: BusSubscription[] = []
  /** By token; the core holds at most one fetch of each replica, so there are few. */
  readonly #asked = new Map<number, Asked>()
  readonly #places = new Map<string, Place>()
  #nextToken = 1
  #stopped = false

  constructor(options: FetchServiceOptions) {
    this.#options = options
  }

  /** Begins to hear. Throws BusError; nothing is left subscribed then. */
  start(): void {
    const { bus, subjects, stream, partition } = this.#options
    const replicate = subjects.replicate(stream, partition)
    const offset = subjects.leaderEpochOffset(stream, partition)
    try {
      this.#subscriptions.push(bus.subscribe(replicate, (message) => this.#onFetch(message)))
      this.#subscriptions.push(bus.subscribe(offset, (message) => this.#onEpochQuestion(message)))
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** Nothing is heard or answered any more. Idempotent. */
  stop(): void {
    this.#stopped = true
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
    for (const { reader } of this.#places.values()) reader?.close()
    this.#places.clear()
    this.#asked.clear()
  }

  /** Carries out what the core decided about a fetch. Must not throw. */
  answer(answer: FetchAnswer): void {
    const asked = this.#asked.get(answer.token)
    this.#asked.delete(answer.token)
    if (asked === undefined || this.#stopped) return
    switch (answer.kind) {
      case 'empty':
        this.#respondEmpty(asked, answer.highWatermark)
        return
      case 'serve':
        this.#serve({ answer, asked })
        return
      case 'refuse':
        this.#report(answer)
        return
      default:
        answer satisfies never
    }
  }

  #onFetch(message: BusMessage): void {
    if (message.reply === '') return
    const decoded = decodeReplicationRequest(message.data)
    if (decoded.kind === 'rejected') {
      this.#drop('fetch', decoded.reason)
      return
    }
    const { replicaId, offset, leaderEpoch, syncedOffset, incarnation, maxWaitMs } = decoded.message
    const token = this.#nextToken++
    this.#asked.set(token, { reply: message.reply, wantsBounds: incarnation !== undefined })
    this.#options.onFetch({
      kind: 'fetch',
      token,
      replicaId,
      offset,
      leaderEpoch,
      ...(syncedOffset === undefined ? {} : { syncedOffset }),
      ...(incarnation === undefined ? {} : { incarnation }),
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
      now: this.#options.clock.monotonicMs(),
    })
  }

  /** Where the largest epoch not above the one asked for ends, by this leadership's word [R6]. */
  #onEpochQuestion(message: BusMessage): void {
    if (message.reply === '') return
    const decoded = decodeLeaderEpochOffsetRequest(message.data)
    if (decoded.kind === 'rejected') {
      this.#drop('epoch question', decoded.reason)
      return
    }
    const { serverId, leaderEpoch, log } = this.#options
    const asked = decoded.message
    // 0: a Go server, which does not say. Whoever follows another leadership gets its answer there.
    if (asked.leaderEpoch !== 0 && asked.leaderEpoch !== leaderEpoch) return
    if (log.state !== 'open') return
    const { epoch, endOffset } = log.epochEndOffset(asked.epoch)
    const fence = { leaderId: serverId, leaderEpoch, epoch }
    this.#publish(message.reply, encodeLeaderEpochOffsetResponse({ endOffset, fence }))
  }

  #serve(due: Due): void {
    const { replicaId } = due.answer
    const place = this.#places.get(replicaId) ?? {
      reader: undefined,
      reading: false,
      next: undefined,
    }
    this.#places.set(replicaId, place)
    if (place.reading) {
      place.next = due
      return
    }
    place.reading = true
    // Never rejects.
    void this.#serveAll(place, due)
  }

  async #serveAll(place: Place, first: Due): Promise<void> {
    for (let due: Due | undefined = first; due !== undefined && !this.#stopped;) {
      await this.#serveOne(place, due)
      due = place.next
      place.next = undefined
    }
    place.reading = false
  }

  async #serveOne(place: Place, { answer, asked }: Due): Promise<void> {
    if (answer.kind !== 'serve') return
    const { log, gaps, maxResponseBytes } = this.#options
    const { fromOffset } = answer
    if (place.reader?.nextOffset !== fromOffset) {
      place.reader?.close()
      place.reader = log.reader({ from: fromOffset, until: 'written' })
    }
    try {
      const header = this.#header(asked, answer.highWatermark)
      const headerBytes = replicationHeaderBytes(header)
      const limit = maxResponseBytes() - headerBytes
      const gathered = await gatherRecords(place.reader, { limit, headerBytes })
      if (this.#stopped) return
      if (gathered.kind === 'ended') {
        place.reader?.close()
        place.reader = undefined
        // Compaction may have left nothing; a log that was cut or closed has nothing to say.
        if (gathered.end === undefined) this.#respondEmpty(asked, log.highWatermark)
        return
      }
      const { firstOffset, response } = gathered
      // The log knows whether it was ever compacted; what was configured since says nothing of it.
      const mayJump = gaps || log.hasGaps
      if (!mayJump && firstOffset > fromOffset && fromOffset >= log.oldestOffset) {
        throw new RecordsMissing(fromOffset, firstOffset - 1)
      }
      // What the log looks like now, not before the read.
      writeReplicationHeader(response, 0, this.#header(asked, log.highWatermark))
      this.#publish(asked.reply, response)
    } catch (error) {
      place.reader?.close()
      place.reader = undefined
      this.#onReadFailed(error)
    }
  }

  #onReadFailed(error: unknown): void {
    const { log, onDamaged } = this.#options
    if (this.#stopped || log.state !== 'open') return
    this.#options.logger.limited(
      `fetch read ${this.#options.stream} ${this.#options.partition}`,
      'error',
      'records for a replica could not be read',
      { ...this.#at(), error },
    )
    if (error instanceof CorruptSegmentError || error instanceof RecordsMissing) onDamaged(error)
  }

  #respondEmpty(asked: Asked, highWatermark: number): void {
    const header = this.#header(asked, highWatermark)
    const response = new Uint8Array(replicationHeaderBytes(header))
    writeReplicationHeader(response, 0, header)
    this.#publish(asked.reply, response)
  }

  #header({ wantsBounds }: Asked, highWatermark: number): ReplicationResponseHeader {
    const { leaderEpoch, log } = this.#options
    const { oldestOffset, newestOffset } = log
    const header = { leaderEpoch, highWatermark }
    return wantsBounds ? { ...header, bounds: { oldestOffset, newestOffset } } : header
  }

  /** An answer that cannot be sent costs the replica a retry. */
  #publish(subject: string, payload: Uint8Array): void {
    try {
      this.#options.answers.publish(subject, payload, '', 'now')
    } catch (error) {
      this.#options.logger.limited('replication-answer', 'warn', 'replication: no answer sent', {
        ...this.#at(),
        bytes: payload.length,
        error,
      })
    }
  }

  #report(answer: Extract<FetchAnswer, { kind: 'refuse' }>): void {
    // Followers of the leadership before or after this one are the ordinary case.
    const level = answer.reason === 'unknown-replica' ? 'warn' : 'debug'
    const key = `fetch-refused ${this.#options.stream} ${this.#options.partition}`
    const { reason, replicaId: replica } = answer
    this.#options.logger.limited(key, level, 'replication: a fetch was refused', {
      ...this.#at(),
      replica,
      reason,
    })
  }

  #drop(what: string, reason: string): void {
    const fields = { ...this.#at(), what, reason }
    this.#options.logger.limited('replication-dropped', 'warn', 'replication: dropped', fields)
  }

  #at(): { readonly stream: string; readonly partition: number; readonly epoch: number } {
    const { stream, partition, leaderEpoch: epoch } = this.#options
    return { stream, partition, epoch }
  }
}
