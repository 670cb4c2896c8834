/**
 * Subscribe: the records of one partition as a stream of messages. Blocks of the log are
 * transcoded straight into length-prefixed frames, many per write; when the client does not keep
 * up, reading waits for it [ARCHITECTURE 3.6].
 */
import type { ResponseStream, ServerCall } from '@liftbridge/grpc'
import {
  CorruptSegmentError,
  recordBodyEnd,
  recordBodyStart,
  recordOffset,
  recordTimestampHigh,
  recordTimestampLow,
  type LogBlock,
  type LogEnd,
  LogReader,
  type ReverseReader,
} from '@liftbridge/log'
import { api, fromBinary, MessageWriter, type StoredRecord } from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'
import type { GroupReader } from '../partition/group-readers.ts'
import type { Partition } from '../partition/partition.ts'
import type { ReadTerm } from '../partition/read-term.ts'
import type { ApiContext } from './context.ts'
import { MessageFrames } from './message-frames.ts'
import { resolveRange, type Range } from './positions.ts'
import { readSlots } from './read-slots.ts'
import { resume, runningPartition } from './targets.ts'

/** A change of leaders takes a few milliseconds here; a client may as well look again. */
const SETTLE_MS = 500

/** The empty message that tells a client that its subscription exists [LB clients 2.0.4]. */
const HANDSHAKE = new Uint8Array(5)

export async function subscribe(
  context: ApiContext,
  call: { readonly request: Uint8Array; readonly call: ServerCall },
  out: ResponseStream,
): Promise<void> {
  const request = decode(call.request)
  const { partition, term } = await findPartition(context, request)
  const ended = new AbortController()
  const signal = AbortSignal.any([call.call.signal, ended.signal, context.stopping, term.signal])
  const groupReader = enterGroup(partition, request, () => ended.abort())
  partition.subscribers++
  let reader: LogReader | ReverseReader | undefined
  let frames: MessageFrames | undefined
  try {
    const readonly = isReadonly(context, request)
    const range = await resolveRange(partition.log, request, readonly)
    reader = request.reverse
      ? partition.log.reverseReader({ from: range.start, until: 'committed' })
      : partition.log.reader({ from: range.start, until: 'committed' })
    out.sendHeaders()
    out.write(HANDSHAKE)
    frames = new MessageFrames({
      writer: new MessageWriter(partition.stream, partition.id),
      out,
      cipher: partition.cipher,
      onCut: () => call.call.cut?.(),
    })
    const subscription = { frames, range, signal }
    if (reader instanceof LogReader) await readUp(reader, subscription)
    else await readDown(reader, subscription)
    if (context.stopping.aborted) throw new LiftbridgeError('server.stopping')
    // Another server is to be asked from here on [E2].
    if (term.signal.aborted) throw termEnded(context, partition)
  } catch (error) {
    throw asClientError(context, partition, error)
  } finally {
    reader?.close()
    frames?.close()
    partition.subscribers--
    if (groupReader) partition.groupReaders.leave(groupReader)
  }
}

type Subscription = {
  readonly frames: MessageFrames
  readonly range: Range
  readonly signal: AbortSignal
}

/** Delivers until the stop, the end of the log, or the end of the call. */
async function readUp(reader: LogReader, subscription: Subscription): Promise<void> {
  const { frames, range, signal } = subscription
  const stop = range.stop ?? Number.MAX_SAFE_INTEGER
  for (;;) {
    // It holds what it read last: it must not wait for a place with that.
    if (signal.aborted) return
    const present = reader.tryNext() ?? (await inSlot(() => reader.poll({ signal })))
    // Retention or compaction may have left nothing up to the stop: no message would ever end it.
    if (present === undefined && reader.nextOffset > stop) {
      throw new LiftbridgeError('subscribe.stop-reached')
    }
    const block = present ?? (await reader.next({ signal }))
    if (block.kind === 'end') return onEnd(block)
    let at = block.start
    const record = storedRecord(block)
    while (at < block.end) {
      at = loadRecord(record, at)
      if (record.offset > stop) break
      const full = frames.add(record)
      if (full) await full
      if (signal.aborted) break
    }
    const full = frames.flush()
    if (full) await full
    if (block.lastOffset >= stop) throw new LiftbridgeError('subscribe.stop-reached')
  }
}

async function inSlot<T>(read: () => Promise<T>): Promise<T> {
  const wait = readSlots.enter()
  if (wait) await wait
  try {
    return await read()
  } finally {
    readSlots.leave()
  }
}

/** The same downwards; a block's records come from the last to the first. */
async function readDown(reader: ReverseReader, subscription: Subscription): Promise<void> {
  const { frames, range, signal } = subscription
  const stop = range.stop ?? 0
  for (;;) {
    if (signal.aborted) return
    const block = await inSlot(() => reader.next())
    if (block.kind === 'end') return onEnd(block)
    const record = storedRecord(block)
    for (const at of recordStarts(block).toReversed()) {
      loadRecord(record, at)
      if (record.offset < stop) break
      const full = frames.add(record)
      if (full) await full
      if (signal.aborted) break
    }
    const full = frames.flush()
    if (full) await full
    if (block.firstOffset <= stop && range.stop !== undefined) {
      throw new LiftbridgeError('subscribe.stop-reached')
    }
  }
}

function recordStarts(block: LogBlock): number[] {
  const starts: number[] = []
  for (let at = block.start; at < block.end; at = recordBodyEnd(block.bytes, at)) starts.push(at)
  return starts
}

function storedRecord(block: LogBlock): StoredRecord {
  const { bytes } = block
  return { bytes, bodyStart: 0, bodyEnd: 0, offset: 0, timestampHigh: 0, timestampLow: 0 }
}

/** Points `record` at the record at `at` and returns where the next one starts. */
function loadRecord(record: StoredRecord, at: number): number {
  const { bytes } = record
  const end = recordBodyEnd(bytes, at)
  record.offset = recordOffset(bytes, at)
  record.timestampHigh = recordTimestampHigh(bytes, at)
  record.timestampLow = recordTimestampLow(bytes, at)
  record.bodyStart = recordBodyStart(at)
  record.bodyEnd = end
  return end
}

/** Returns when the call simply ends, throws what the client is to be told otherwise. */
function onEnd(end: LogEnd): void {
  switch (end.reason) {
    case 'readonly':
      throw new LiftbridgeError('subscribe.readonly-end')
    case 'start':
      throw new LiftbridgeError('subscribe.reverse-end')
    case 'deleted':
      throw new LiftbridgeError('subscribe.deleted')
    case 'closed':
    case 'truncated':
    case 'failed':
      throw new LiftbridgeError('subscribe.paused')
    case 'aborted':
      return
    default:
      end.reason satisfies never
  }
}

async function findPartition(
  context: ApiContext,
  request: api.SubscribeRequest,
): Promise<{ readonly partition: Partition; readonly term: ReadTerm }> {
  const { stream, partition: id, consumer } = request
  if (consumer?.groupId && !consumer.consumerId) {
    throw new LiftbridgeError('subscribe.no-consumer-id')
  }
  const state = context.metadata.state.streams.get(stream)?.partitions[id]
  if (!state) throw new LiftbridgeError('subscribe.no-partition')
  if (request.readISRReplica && consumer?.groupId) {
    throw new LiftbridgeError('subscribe.group-on-replica')
  }
  const isLeader = state.leader === context.serverId
  const mayRead = isLeader || (request.readISRReplica && state.isr.includes(context.serverId))
  if (!mayRead) throw new LiftbridgeError('subscribe.not-leader')
  if (state.paused) {
    if (!request.resume) throw new LiftbridgeError('subscribe.paused')
    await resume(context, stream, id)
  }
  // A leader that was just elected, or a follower that just began, is there in a moment.
  if (!context.partitions.at(stream, id)?.reading)
    await context.leaders.settled(stream, id, SETTLE_MS)
  // That may have taken long enough for the stream to be another one.
  const now = context.metadata.state.streams.get(stream)
  const partition = now && runningPartition(context, now, id)
  const term = partition?.reading
  if (!partition || !term || (term.role === 'follower' && !request.readISRReplica)) {
    throw new LiftbridgeError('partition.unavailable', { stream, partition: id })
  }
  return { partition, term }
}

/**
 * A pause and a deletion end the term too, and are told as what they are. Otherwise the partition
 * has moved: UNAVAILABLE is what makes clients look for its leader again [LB clients 2.0.19].
 */
function termEnded(context: ApiContext, partition: Partition): LiftbridgeError {
  const { stream, id } = partition
  const state = context.metadata.state.streams.get(stream)?.partitions[id]
  return state === undefined || state.paused
    ? new LiftbridgeError('subscribe.paused')
    : new LiftbridgeError('partition.unavailable', { stream, partition: id })
}

function isReadonly(context: ApiContext, request: api.SubscribeRequest): boolean {
  const stream = context.metadata.state.streams.get(request.stream)
  return stream?.partitions[request.partition]?.readonly === true
}

function enterGroup(
  partition: Partition,
  request: api.SubscribeRequest,
  end: () => void,
): GroupReader | undefined {
  const { consumer } = request
  if (!consumer?.groupId) return undefined
  const { groupId, groupEpoch, consumerId } = consumer
  const reader = { groupId, groupEpoch, consumerId, end }
  if (!partition.groupReaders.enter(reader)) {
    throw new LiftbridgeError('subscribe.not-assigned')
  }
  return reader
}

function decode(request: Uint8Array): api.SubscribeRequest {
  try {
    return fromBinary(api.SubscribeRequestSchema, request)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new LiftbridgeError('request.malformed', { reason }, { cause: error })
  }
}

function asClientError(context: ApiContext, partition: Partition, error: unknown): unknown {
  // A deletion closes the log like a pause does; the metadata tells which it was.
  const closed = error instanceof LiftbridgeError && error.code === 'subscribe.paused'
  if (closed && context.stopping.aborted) return new LiftbridgeError('server.stopping')
  const stream = context.metadata.state.streams.get(partition.stream)
  if (closed && stream?.incarnation !== partition.incarnation) {
    return new LiftbridgeError('subscribe.deleted')
  }
  if (!(error instanceof CorruptSegmentError)) return error
  // Where the file lies is for the log, not for clients.
  const { reason, baseOffset, position } = error.damage
  const where = `${reason} in the segment that begins at offset ${baseOffset}, position ${position}`
  const values = { stream: partition.stream, partition: partition.id, reason: where }
  return new LiftbridgeError('subscribe.corrupt', values, { cause: error })
}
