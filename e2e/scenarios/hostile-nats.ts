import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { type Scenario, underLoad } from './scenario.ts'

const LISTEN_MS = 3_000
const GARBAGE = 20_000
const REPLAYED_MAX = 5_000
const GARBAGE_MAX_BYTES = 600
const BATCH = 100
const BATCH_PAUSE_MS = 20

type Heard = { readonly subject: string; readonly payload: Buffer }

/** Whoever may use the NATS of a cluster can say anything on its subjects. */
export const hostileNats: Scenario = {
  name: 'garbage, and real messages once more, on the inner subjects of a cluster',
  demands: 'no server ends, and nothing acknowledged is lost, though garbage comes in thousands',
  run: (random) =>
    underLoad(async ({ cluster, targets }) => {
      const nats = connect(cluster.nats.port, '127.0.0.1')
      await once(nats, 'data')
      nats.write('CONNECT {"verbose":false,"pedantic":false}\r\nSUB > 1\r\n')
      // What clients publish is theirs: more of that would be messages that nobody recorded.
      const isTheirs = (subject: string): boolean => subject.startsWith('replicated.subject')
      const heard = (await listen(nats)).filter(({ subject }) => !isTheirs(subject))
      const subjects = [...new Set(heard.map(({ subject }) => subject))]
      await send(nats, garbage(subjects, random))
      await send(nats, shuffled(heard, random).slice(0, REPLAYED_MAX))
      nats.destroy()
      for (const { id, server } of cluster.members) {
        if (server.status !== undefined) throw new Error(`${id} ended`)
      }
      const streams = new Set(targets.map(({ stream }) => stream)).size
      return `${subjects.length} subjects of ${streams} stream, ${GARBAGE} times garbage, ${heard.length} heard`
    }),
}

/** Every message of the next seconds. */
async function listen(nats: Socket): Promise<Heard[]> {
  const heard: Heard[] = []
  let rest: Buffer = Buffer.alloc(0)
  const take = (piece: Buffer): void => {
    rest = Buffer.concat([rest, piece])
    for (;;) {
      const line = rest.indexOf('\r\n')
      if (line < 0) return
      const words = rest.toString('latin1', 0, line).split(' ')
      if (words[0] === 'PING') nats.write('PONG\r\n')
      const headers = words[0] === 'HMSG'
      const bytes = headers || words[0] === 'MSG' ? Number(words.at(-1)) : -2
      if (rest.length < line + 4 + bytes) return
      const payload = rest.subarray(line + 2, line + 2 + Math.max(bytes, 0))
      if (bytes >= 0 && !headers)
        heard.push({ subject: words[1] ?? '', payload: Buffer.from(payload) })
      rest = rest.subarray(line + 4 + bytes)
    }
  }
  nats.on('data', take)
  await sleep(LISTEN_MS)
  nats.off('data', take)
  nats.write('UNSUB 1\r\n')
  nats.on('data', (piece: Buffer) => {
    if (piece.includes('PING')) nats.write('PONG\r\n')
  })
  return heard
}

function garbage(subjects: readonly string[], random: Random): Heard[] {
  return Array.from({ length: GARBAGE }, () => {
    const subject = subjects[random.between(0, subjects.length)] ?? ''
    return { subject, payload: random.bytes(random.between(0, GARBAGE_MAX_BYTES)) }
  })
}

function shuffled(heard: readonly Heard[], random: Random): Heard[] {
  return heard
    .map((message) => ({ message, place: random.next() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ message }) => message)
}

async function send(nats: Socket, messages: readonly Heard[]): Promise<void> {
  for (let at = 0; at < messages.length; at += BATCH) {
    for (const { subject, payload } of messages.slice(at, at + BATCH)) {
      nats.write(`PUB ${subject} ${payload.length}\r\n`)
      nats.write(payload)
      nats.write('\r\n')
    }
    await sleep(BATCH_PAUSE_MS)
  }
}
