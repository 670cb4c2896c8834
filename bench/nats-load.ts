/** Load on a nats-server: JetStream publishing and consuming, and a plain round trip. */
import { randomUUID } from 'node:crypto'
import { jetstreamManager, AckPolicy, DeliverPolicy } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'
import { begin, type LoadResult, type LoadTask } from './load-program.ts'
import { oneAtATime } from './liftbridge-load.ts'
import { pubCommand, RawNats } from './raw-nats.ts'
import { blockSize, WindowedLoad } from './window.ts'

const NO_LATENCY = { p50: 0, p99: 0, p999: 0 }
const FILL_WINDOW = 5_000
const HEARTBEAT_MS = 5_000

type Task<K extends LoadTask['kind']> = Extract<LoadTask, { kind: K }>

/** An inbox that no other connection of the run has. */
function freshInbox(): string {
  return `_INBOX.${randomUUID()}`
}

/** Throws when a JetStream publish was answered with an error. */
function expectAck(bytes: Buffer, range: readonly [number, number]): void {
  const text = bytes.toString('latin1', range[0], range[1])
  if (!text.includes('"seq"')) throw new Error(`JetStream refused a publish: ${text}`)
}

/** A connection that publishes `one` and reports acks, one of each piece decoded. */
async function openPublisher(
  task: { readonly url: string; readonly subject: string; readonly valueBytes: number },
  onAcks: (count: number) => void,
): Promise<{ readonly nats: RawNats; readonly one: Buffer }> {
  const nats = await RawNats.open(task.url)
  const inbox = freshInbox()
  let count = 0
  nats.onDelivery(
    ({ bytes, payload }) => {
      if (count++ === 0) expectAck(bytes, payload)
    },
    () => {
      const acks = count
      count = 0
      if (acks > 0) onAcks(acks)
    },
  )
  nats.write(`SUB ${inbox} 1\r\n`)
  await nats.flush()
  return { nats, one: pubCommand(task.subject, inbox, Buffer.alloc(task.valueBytes, 'v')) }
}

export async function jetStreamPublish(task: Task<'jetstream-publish'>): Promise<LoadResult> {
  const load = new WindowedLoad(task.window)
  const opened: RawNats[] = []
  for (let i = 0; i < task.connections; i++) {
    let acked: (count: number) => void = () => undefined
    const { nats, one } = await openPublisher(task, (count) => acked(count))
    const block = Buffer.concat(Array<Buffer>(blockSize(task.window)).fill(one))
    const lane = load.add({ sendBlock: () => nats.write(block), drained: () => nats.drained() })
    acked = lane.acked
    opened.push(nats)
  }
  const result = await load.run(task.seconds)
  for (const nats of opened) nats.close()
  return result
}

export async function jetStreamFill(task: Task<'jetstream-fill'>): Promise<LoadResult> {
  let acked = 0
  let wake: (() => void) | undefined
  const { nats, one } = await openPublisher(task, (count) => {
    acked += count
    wake?.()
  })
  begin()
  const began = performance.now()
  let sent = 0
  while (acked < task.messages) {
    const room = Math.min(task.messages - sent, FILL_WINDOW - (sent - acked), 500)
    if (room <= 0) await new Promise<void>((resolve) => (wake = resolve))
    else {
      sent += room
      if (!nats.write(Buffer.concat(Array<Buffer>(room).fill(one)))) await nats.drained()
    }
  }
  nats.close()
  return { messages: acked, seconds: (performance.now() - began) / 1000, latency: NO_LATENCY }
}

/** Reads the whole stream through push consumers without acks, as an ordered consumer does. */
export async function jetStreamConsume(task: Task<'jetstream-consume'>): Promise<LoadResult> {
  const control = await connect({ servers: task.url })
  const manager = await jetstreamManager(control)
  const opened: RawNats[] = []
  while (opened.length < task.connections) opened.push(await RawNats.open(task.url))
  const readOnce = async (nats: RawNats): Promise<number> => {
    const inbox = freshInbox()
    const read = consumeAll(nats, inbox, task.messages)
    await nats.flush()
    const consumer = await manager.consumers.add(task.stream, {
      deliver_subject: inbox,
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.None,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
      mem_storage: true,
      num_replicas: 1,
    })
    const count = await read
    await manager.consumers.delete(task.stream, consumer.name)
    return count
  }
  await Promise.all(opened.map(readOnce))
  begin()
  const began = performance.now()
  let messages = 0
  do {
    const counts = await Promise.all(opened.map(readOnce))
    messages += counts.reduce((sum, count) => sum + count, 0)
  } while (performance.now() - began < task.seconds * 1000)
  const seconds = (performance.now() - began) / 1000
  for (const nats of opened) nats.close()
  await control.close()
  return { messages, seconds, latency: NO_LATENCY }
}

/** Counts deliveries on the inbox, answering flow control, until all have come. */
function consumeAll(nats: RawNats, inbox: string, messages: number): Promise<number> {
  return new Promise((resolve) => {
    let seen = 0
    nats.onDelivery(
      ({ bytes, line, hasHeaders }) => {
        if (!hasHeaders) seen++
        else answerFlowControl(nats, bytes.toString('latin1', line[0], line[1]))
      },
      () => {
        if (seen < messages) return
        nats.onDelivery(() => undefined)
        nats.write('UNSUB 2\r\n')
        resolve(seen)
      },
    )
    nats.write(`SUB ${inbox} 2\r\n`)
  })
}

/** `HMSG subject sid [reply] headerBytes totalBytes`: a status message; with a reply it asks for one. */
function answerFlowControl(nats: RawNats, line: string): void {
  const parts = line.split(' ')
  const reply = parts.length === 6 ? parts[3] : undefined
  if (reply !== undefined) nats.write(`PUB ${reply} 0\r\n\r\n`)
}

/** A request and its answer through nats-server; the one who answers has a connection of its own. */
export async function natsRoundTrip(task: Task<'nats-round-trip'>): Promise<LoadResult> {
  const nats = await RawNats.open(task.url)
  const inbox = freshInbox()
  let arrived: () => void = () => undefined
  nats.onDelivery(() => arrived())
  nats.write(`SUB ${inbox} 1\r\n`)
  await nats.flush()
  const one = pubCommand(ECHO_SUBJECT, inbox, Buffer.alloc(task.valueBytes, 'v'))
  const result = await oneAtATime(task.seconds, () => {
    const answered = new Promise<void>((resolve) => (arrived = resolve))
    nats.write(one)
    return answered
  })
  nats.close()
  return result
}

export const ECHO_SUBJECT = 'bench.echo'
