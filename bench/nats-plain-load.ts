/**
 * Load of plain NATS messages on one server. Every frame of a case has the same length, so the
 * clients count bytes instead of parsing: what is measured is the server.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { NatsCase, NatsLoadReport } from './nats-cases.ts'

const BLOCK_BYTES = 64 * 1024
/** So many messages may be on the way: far below where a server calls a subscriber slow. */
const WINDOW_BYTES = 4 * 1024 * 1024
const QUIET = 'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\n'

/** A connection that has been greeted; `onBytes` hears how much has arrived since. */
class Link {
  readonly socket: Socket
  onBytes: (count: number) => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
  }

  static async open(port: number): Promise<Link> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const link = new Link(socket)
    await new Promise((resolve) => socket.once('data', resolve))
    await link.ask(QUIET)
    socket.on('data', (chunk) => link.onBytes(chunk.length))
    return link
  }

  /** Until the server has taken `commands` in. */
  ask(commands: string): Promise<void> {
    return new Promise((resolve) => {
      let said = ''
      const listen = (chunk: Buffer): void => {
        said += chunk.toString('latin1')
        if (!said.endsWith('PONG\r\n')) return
        this.socket.off('data', listen)
        resolve()
      }
      this.socket.on('data', listen)
      this.socket.write(`${commands}PING\r\n`)
    })
  }
}

function pubFrame(subject: string, bytes: number, reply = ''): Buffer {
  const line = `PUB ${subject} ${reply === '' ? '' : `${reply} `}${bytes}\r\n`
  return Buffer.from(`${line}${'v'.repeat(bytes)}\r\n`)
}

function msgBytes(subject: string, bytes: number, reply = ''): number {
  const line = `MSG ${subject} 1 ${reply === '' ? '' : `${reply} `}${bytes}\r\n`
  return line.length + bytes + 2
}

/** Counts messages until `seconds` have passed after a second of warming up. */
async function measure(
  seconds: number,
  delivered: () => number,
  begin: () => void,
): Promise<{ messages: number; seconds: number }> {
  await pause(500)
  begin()
  const [from, began] = [delivered(), performance.now()]
  await pause(seconds * 1000)
  return { messages: delivered() - from, seconds: (performance.now() - began) / 1000 }
}

/** One publisher; subscribers each get everything, or share as a queue group. */
async function fanOut(
  port: number,
  { bytes, subscribers, queue, seconds }: Extract<NatsCase, { kind: 'publish' }>,
  begin: () => void,
): Promise<{ messages: number; seconds: number }> {
  const subject = 'bench.subject'
  const frame = msgBytes(subject, bytes)
  const received: number[] = []
  let more: () => void = () => undefined
  for (let i = 0; i < subscribers; i++) {
    const link = await Link.open(port)
    await link.ask(`SUB ${subject} ${queue ? 'group ' : ''}1\r\n`)
    received.push(0)
    link.onBytes = (count) => {
      received[i] = (received[i] ?? 0) + count
      more()
    }
  }
  const total = (): number => received.reduce((sum, one) => sum + one, 0)
  const slowest = (): number => (queue ? total() : Math.min(...received)) / frame
  const publisher = await Link.open(port)
  const one = pubFrame(subject, bytes)
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / one.length))
  const block = Buffer.concat(Array<Buffer>(perBlock).fill(one))
  const window = Math.max(2 * perBlock, Math.floor(WINDOW_BYTES / frame))
  let sent = 0
  let full = false
  more = (): void => {
    while (!full && sent - slowest() < window - perBlock) {
      sent += perBlock
      full = !publisher.socket.write(block)
    }
  }
  publisher.socket.on('drain', () => {
    full = false
    more()
  })
  more()
  return measure(seconds, () => total() / frame, begin)
}

/** Requests with a number on the way; each answered by another connection. */
async function requests(
  port: number,
  { bytes, inFlight, seconds }: Extract<NatsCase, { kind: 'request' }>,
  begin: () => void,
): Promise<{ messages: number; seconds: number }> {
  const [asker, answerer] = [await Link.open(port), await Link.open(port)]
  const [question, answer] = [pubFrame('bench.ask', bytes, 'bench.re'), pubFrame('bench.re', bytes)]
  await asker.ask('SUB bench.re 1\r\n')
  await answerer.ask('SUB bench.ask 1\r\n')
  const repeat = (link: Link, frame: number, next: Buffer, note: (count: number) => void): void => {
    let bytesIn = 0
    let done = 0
    link.onBytes = (count) => {
      bytesIn += count
      const due = Math.floor(bytesIn / frame) - done
      if (due === 0) return
      done += due
      note(due)
      link.socket.write(due === 1 ? next : Buffer.concat(Array<Buffer>(due).fill(next)))
    }
  }
  let answered = 0
  repeat(answerer, msgBytes('bench.ask', bytes, 'bench.re'), answer, () => undefined)
  repeat(asker, msgBytes('bench.re', bytes), question, (count) => (answered += count))
  asker.socket.write(Buffer.concat(Array<Buffer>(inFlight).fill(question)))
  return measure(seconds, () => answered, begin)
}

/** A subscriber that reads nothing while a publisher sends for some seconds. */
async function stuck(
  port: number,
  { bytes, seconds }: Extract<NatsCase, { kind: 'stuck' }>,
  begin: () => void,
): Promise<{ messages: number; seconds: number }> {
  const silent = await Link.open(port)
  await silent.ask('SUB bench.subject 1\r\n')
  silent.socket.pause()
  const publisher = await Link.open(port)
  const block = Buffer.concat(Array<Buffer>(64).fill(pubFrame('bench.subject', bytes)))
  begin()
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < seconds * 1000) {
    sent += 64
    if (!publisher.socket.write(block)) {
      await new Promise((resolve) => publisher.socket.once('drain', resolve))
    }
  }
  return { messages: sent, seconds }
}

/** Connections with one subscription each, which then say nothing. */
async function idle(
  port: number,
  { connections }: Extract<NatsCase, { kind: 'idle' }>,
  begin: () => void,
): Promise<{ messages: number; seconds: number }> {
  begin()
  const began = performance.now()
  const links: Link[] = []
  while (links.length < connections) {
    const batch = Array.from({ length: Math.min(200, connections - links.length) }, async () => {
      const link = await Link.open(port)
      await link.ask(`SUB idle.${links.length} 1\r\n`)
      return link
    })
    links.push(...(await Promise.all(batch)))
  }
  await pause(2000)
  return { messages: links.length, seconds: (performance.now() - began) / 1000 }
}

function run(port: number, one: NatsCase, begin: () => void): ReturnType<typeof measure> {
  switch (one.kind) {
    case 'publish':
      return fanOut(port, one, begin)
    case 'request':
      return requests(port, one, begin)
    case 'stuck':
      return stuck(port, one, begin)
    case 'idle':
      return idle(port, one, begin)
    default:
      return one satisfies never
  }
}

const report = (message: NatsLoadReport): unknown => process.send?.(message)

process.once('message', (task: { readonly port: number; readonly one: NatsCase }) => {
  run(task.port, task.one, () => report({ kind: 'begin' })).then(
    (result) => report({ kind: 'result', ...result }),
    (error: unknown) => report({ kind: 'error', message: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
