/** Load on a Liftbridge server over gRPC. */
import { prefixed, type RawCall, RawConnection } from '../e2e/raw-grpc.ts'
import {
  type AckPolicy,
  bytesField,
  encodePublish,
  encodeSubscribe,
  FieldReader,
} from '../e2e/raw-messages.ts'
import { Latencies } from './latencies.ts'
import { begin, type LoadResult, type LoadTask, WARM_UP_SHARE } from './load-program.ts'
import { blockSize, pause, WindowedLoad } from './window.ts'

const EARLIEST = 2
const CORRELATION_ID = 'abcdefghijklmnopqrstuv'
const FILL_WINDOW = 20_000
const NO_LATENCY = { p50: 0, p99: 0, p999: 0 }

type Task<K extends LoadTask['kind']> = Extract<LoadTask, { kind: K }>

function publishRequest(
  stream: string,
  valueBytes: number,
  ackPolicy: AckPolicy = 'LEADER',
): Buffer {
  return encodePublish({
    stream,
    partition: 0,
    value: Buffer.alloc(valueBytes, 'v'),
    correlationId: CORRELATION_ID,
    ackPolicy,
  })
}

/** Calls `onAcks` with the number of acks in each piece that arrives; throws on an error response. */
function countAcks(call: RawCall, onAcks: (count: number) => void): void {
  const reader = new FieldReader()
  let count = 0
  call.onMessages(
    (bytes, start, end) => {
      // One response of each piece is decoded: enough to notice that publishing fails.
      if (count++ > 0) return
      reader.reset(bytes, start, end)
      while (reader.next()) {
        if (reader.field === 2)
          throw new Error(`publish failed: ${bytes.toString('utf8', start, end)}`)
      }
    },
    () => {
      const acks = count
      count = 0
      onAcks(acks)
    },
  )
}

export async function publish(task: Task<'publish'>): Promise<LoadResult> {
  const load = new WindowedLoad(task.window)
  const one = prefixed(publishRequest(task.stream, task.valueBytes, task.ackPolicy))
  const block = Buffer.concat(Array<Buffer>(blockSize(task.window)).fill(one))
  const connections: RawConnection[] = []
  for (let i = 0; i < task.connections; i++) {
    const connection = await RawConnection.open(task.address)
    connections.push(connection)
    const call = connection.call('PublishAsync')
    const lane = load.add({
      sendBlock: () => call.write(block),
      drained: () => call.drained(),
    })
    countAcks(call, lane.acked)
  }
  const result = await load.run(task.seconds)
  for (const connection of connections) connection.close()
  return result
}

/** Publishes exactly so many messages, as fast as it goes. */
export async function fill(task: Task<'fill'>): Promise<LoadResult> {
  const connection = await RawConnection.open(task.address)
  const call = connection.call('PublishAsync')
  const one = prefixed(publishRequest(task.stream, task.valueBytes))
  let sent = 0
  let acked = 0
  let wake: (() => void) | undefined
  countAcks(call, (count) => {
    acked += count
    wake?.()
  })
  begin()
  const began = performance.now()
  while (acked < task.messages) {
    const room = Math.min(task.messages - sent, FILL_WINDOW - (sent - acked), 500)
    if (room <= 0) await new Promise<void>((resolve) => (wake = resolve))
    else {
      sent += room
      if (!call.write(Buffer.concat(Array<Buffer>(room).fill(one)))) await call.drained()
    }
  }
  connection.close()
  const seconds = (performance.now() - began) / 1000
  return { messages: acked, seconds, latency: NO_LATENCY }
}

/** Reads the whole stream from its first message, again and again. */
export async function subscribe(task: Task<'subscribe'>): Promise<LoadResult> {
  const connections: RawConnection[] = []
  while (connections.length < task.connections) {
    connections.push(await RawConnection.open(task.address))
  }
  const readOnce = (connection: RawConnection): Promise<number> =>
    readFromEarliest(connection, task.stream, task.messages)
  await Promise.all(connections.map(readOnce))
  begin()
  const began = performance.now()
  let messages = 0
  do {
    const counts = await Promise.all(connections.map(readOnce))
    messages += counts.reduce((sum, count) => sum + count, 0)
  } while (performance.now() - began < task.seconds * 1000)
  const seconds = (performance.now() - began) / 1000
  for (const connection of connections) connection.close()
  return { messages, seconds, latency: NO_LATENCY }
}

function readFromEarliest(
  connection: RawConnection,
  stream: string,
  messages: number,
): Promise<number> {
  const call = connection.call('Subscribe')
  return new Promise((resolve, reject) => {
    // The first message is the empty one that confirms the subscription.
    let seen = -1
    call.onMessages(
      () => void seen++,
      () => {
        if (seen < messages) return
        call.cancel()
        resolve(seen)
      },
    )
    call.ended.then(({ message }) => reject(new Error(`subscribe ended: ${message}`)), reject)
    call.end(prefixed(encodeSubscribe({ stream, partition: 0, startPosition: EARLIEST })))
  })
}

/** One unary Publish after the other, each with a deadline and therefore an ack. */
export async function unary(task: Task<'unary' | 'tail'>): Promise<LoadResult> {
  const connection = await RawConnection.open(task.address)
  const request = publishRequest(task.stream, task.valueBytes)
  const result = await oneAtATime(task.seconds, async () => {
    await connection.unary('Publish', request)
  })
  connection.close()
  return result
}

/** From the write of a PublishAsync message until a live subscriber has it, one at a time. */
export async function tail(task: Task<'unary' | 'tail'>): Promise<LoadResult> {
  const reader = await RawConnection.open(task.address)
  const writer = await RawConnection.open(task.address)
  let arrived: () => void = () => undefined
  const live = reader.call('Subscribe')
  const first = new Promise<void>((resolve) => (arrived = resolve))
  live.onMessages(() => arrived())
  live.end(prefixed(bytesField(1, task.stream)))
  await first
  const call = writer.call('PublishAsync')
  call.onMessages(() => undefined)
  const one = prefixed(publishRequest(task.stream, task.valueBytes))
  const result = await oneAtATime(task.seconds, () => {
    const delivered = new Promise<void>((resolve) => (arrived = resolve))
    call.write(one)
    return delivered
  })
  reader.close()
  writer.close()
  return result
}

/** Runs one operation after the other and measures each. */
export async function oneAtATime(
  seconds: number,
  operation: () => Promise<void>,
): Promise<LoadResult> {
  const latencies = new Latencies()
  const warmUpEnds = performance.now() + seconds * WARM_UP_SHARE * 1000
  while (performance.now() < warmUpEnds) await operation()
  begin()
  await pause(0)
  const began = performance.now()
  let messages = 0
  let now = began
  while (now - began < seconds * 1000) {
    await operation()
    const after = performance.now()
    latencies.add(after - now)
    now = after
    messages++
  }
  return { messages, seconds: (now - began) / 1000, latency: latencies.percentiles() }
}
