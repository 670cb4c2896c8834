import { createHash } from 'node:crypto'
import type { InstallSnapshotRequest, LogEntry, RaftRequest, RaftResponse } from '@liftbridge/wire'
import { append, heartbeat, until } from './raft-transport.suite.ts'

const entry: LogEntry = {
  index: 7,
  term: 3,
  type: 0,
  data: Buffer.from('operation'),
  extensions: new Uint8Array(),
  appendedAtNs: 1_700_000_000_123_456_789n,
}

export const requests: readonly Exclude<RaftRequest, InstallSnapshotRequest>[] = [
  heartbeat(3),
  { ...append(3), entries: [entry, { ...entry, index: 8 }] },
  { kind: 'request-vote', term: 4, lastLogIndex: 8, lastLogTerm: 3, leadershipTransfer: true },
  { kind: 'request-pre-vote', term: 4, lastLogIndex: 8, lastLogTerm: 3 },
  { kind: 'timeout-now' },
]

/** An answer in which the request can be recognized. */
export function answerTo(request: RaftRequest): RaftResponse {
  switch (request.kind) {
    case 'append-entries': {
      const { kind, term } = request
      return { kind, term, lastLogIndex: term, success: true, noRetryBackoff: false }
    }
    case 'request-vote':
    case 'request-pre-vote':
      return { kind: request.kind, term: request.term, granted: true }
    case 'install-snapshot':
      return { kind: request.kind, term: request.term, success: true }
    case 'timeout-now':
      return { kind: request.kind }
    default:
      return request satisfies never
  }
}

export function snapshotOf(size: number): InstallSnapshotRequest {
  return {
    kind: 'install-snapshot',
    snapshotVersion: 1,
    term: 3,
    lastLogIndex: 8,
    lastLogTerm: 3,
    configuration: { servers: [{ suffrage: 0, id: 'a', address: 'a' }] },
    configurationIndex: 1,
    size,
  }
}

/** A handler whose answers come when they are let go. */
export class Held {
  readonly asked: RaftRequest[] = []
  readonly #waiting: (() => void)[] = []

  readonly handler = async (_: string, request: RaftRequest): Promise<RaftResponse> => {
    this.asked.push(request)
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return answerTo(request)
  }

  async release(count = 1): Promise<void> {
    await until(() => this.#waiting.length >= count)
    for (const resolve of this.#waiting.splice(0, count)) resolve()
  }
}

export const terms = (asked: readonly RaftRequest[]): number[] =>
  asked.flatMap((request) => (request.kind === 'append-entries' ? [request.term] : []))

/** Gives way to the outcome of a call, whichever it is. */
export const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'answered',
    (error: unknown) => String(Reflect.get(Object(error), 'code')),
  )

/** Bytes that are nowhere alike, in uneven pieces. */
export function* noise(size: number): Generator<Uint8Array> {
  let state = 1
  for (let made = 0; made < size;) {
    const piece = Buffer.alloc(Math.min(size - made, 70_001))
    for (let at = 0; at + 4 <= piece.length; at += 4) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      piece.writeUInt32LE(state, at)
    }
    made += piece.length
    yield piece
  }
}

export async function hashOf(
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of bytes) hash.update(part)
  return hash.digest('hex')
}
