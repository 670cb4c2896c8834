/*
 * Raft's calls between our transport and hashicorp/raft's own, in both roles, over streams on NATS.
 * The Go side is conformance/go-raft. Skipped, with the reason, where Go or its modules are missing.
 *
 *     node --conditions=source --test conformance/raft-go.test.ts
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import {
  ClusterSubjects,
  type AppendEntriesRequest,
  type LogEntry,
  type RaftRequest,
  type RaftResponse,
} from '@liftbridge/wire'
import { EmbeddedBus } from '../packages/server/src/adapters/embedded-bus.ts'
import { createSystemClock } from '../packages/server/src/adapters/system-clock.ts'
import { createSystemRandom } from '../packages/server/src/adapters/system-random.ts'
import type { RaftRequestHandler } from '../packages/server/src/raft-transport/raft-server.ts'
import { RaftTransport } from '../packages/server/src/raft-transport/raft-transport.ts'
import { goProgram, GoPeer } from './raft-go-peer.ts'

const TEST_TIMEOUT_MS = 60_000

type Meeting = {
  readonly transport: RaftTransport
  readonly peer: (...args: readonly string[]) => GoPeer
  readonly problems: readonly string[]
}

/** A transport of ours called `ts`, and a way to start Go peers, on one NATS. */
async function meet(t: TestContext, onRequest: RaftRequestHandler): Promise<Meeting | undefined> {
  const path = await goProgram(t)
  if (path === undefined) return undefined
  const nats = new NatsServer({ port: -1 })
  await nats.listen()
  const bus = new EmbeddedBus(nats, { name: 'ts', echo: false })
  const problems: string[] = []
  const transport = new RaftTransport({
    bus,
    subjects: new ClusterSubjects('mixed'),
    serverId: 'ts',
    clock: createSystemClock(),
    random: createSystemRandom(),
    onRequest,
    onProblem: (peer, reason) => problems.push(`${peer}: ${reason}`),
  })
  transport.start()
  const peers: GoPeer[] = []
  t.after(async () => {
    for (const peer of peers) await peer.stop()
    await transport.close()
    await bus.close()
    await nats.close()
  })
  const peer = (mode = 'serve', ...rest: readonly string[]): GoPeer => {
    const started = new GoPeer(path, [mode, nats.url, 'mixed', 'go', ...rest])
    peers.push(started)
    return started
  }
  return { transport, peer, problems }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const header = (id: string): object => ({ ProtocolVersion: 3, ID: base64(id), Addr: base64(id) })

const entries: readonly LogEntry[] = [
  {
    index: 300,
    term: 2,
    type: 0,
    data: Buffer.alloc(40, 0xff),
    extensions: new Uint8Array(),
    appendedAtNs: 1_700_000_000_123_456_789n,
  },
  {
    index: 301,
    term: 2,
    type: 1,
    data: new Uint8Array(),
    extensions: new Uint8Array(),
    appendedAtNs: undefined,
  },
]

function append(term: number): AppendEntriesRequest {
  return {
    kind: 'append-entries',
    term,
    prevLogIndex: 299,
    prevLogTerm: 1,
    entries,
    leaderCommitIndex: 2 ** 40,
  }
}

const heartbeat: AppendEntriesRequest = {
  kind: 'append-entries',
  term: 2,
  prevLogIndex: 0,
  prevLogTerm: 0,
  entries: [],
  leaderCommitIndex: 0,
}

test('hashicorp/raft answers our calls', { timeout: TEST_TIMEOUT_MS }, async (t) => {
  const meeting = await meet(t, () => Promise.reject(new Error('not asked')))
  if (meeting === undefined) return
  const { transport, peer } = meeting
  const go = peer('serve')
  await go.until('ready')

  await t.test('AppendEntries, with entries and their times', async () => {
    assert.deepEqual(await transport.send('go', append(2)), {
      kind: 'append-entries',
      term: 2,
      lastLogIndex: 2 ** 40,
      success: true,
      noRetryBackoff: false,
    })
    await go.until('append-entries')
    assert.deepEqual(go.of('append-entries')[0], {
      ...header('ts'),
      Term: 2,
      Leader: base64('ts'),
      PrevLogEntry: 299,
      PrevLogTerm: 1,
      LeaderCommitIndex: 2 ** 40,
      Entries: [
        {
          Index: 300,
          Term: 2,
          Type: 0,
          Data: Buffer.alloc(40, 0xff).toString('base64'),
          Extensions: null,
          AppendedAt: '2023-11-14T22:13:20.123456789Z',
        },
        {
          Index: 301,
          Term: 2,
          Type: 1,
          Data: null,
          Extensions: null,
          AppendedAt: '0001-01-01T00:00:00Z',
        },
      ],
    })
  })

  await t.test('heartbeats, whose entries are nil', async () => {
    assert.equal((await transport.send('go', heartbeat)).noRetryBackoff, true)
    await go.until('append-entries', 2)
    assert.equal(go.of('append-entries')[1]?.['Entries'], null)
  })

  await t.test('many AppendEntries in order', async () => {
    const sent = Array.from({ length: 50 }, (_, index) => 10 + index)
    const answers = await Promise.all(sent.map((term) => transport.send('go', append(term))))
    assert.deepEqual(
      answers.map(({ term }) => term),
      sent,
    )
    await go.until('append-entries', 52)
    const received = go.of('append-entries').slice(2)
    assert.deepEqual(
      received.map((request) => request['Term']),
      sent,
    )
  })

  await t.test('its errors, after which the stream goes on', async () => {
    await assert.rejects(transport.send('go', append(666)), {
      code: 'remote',
      message: 'refused on purpose',
    })
    assert.equal((await transport.send('go', append(667))).term, 667)
    // Entries and heartbeats, each on one stream.
    assert.equal(transport.streams.dialed, 2)
  })

  await t.test('votes and TimeoutNow', async () => {
    const log = { lastLogIndex: 10, lastLogTerm: 2 }
    for (const leadershipTransfer of [true, false]) {
      assert.deepEqual(
        await transport.send('go', { kind: 'request-vote', term: 3, ...log, leadershipTransfer }),
        { kind: 'request-vote', term: 3, granted: leadershipTransfer },
      )
    }
    assert.deepEqual(await transport.send('go', { kind: 'request-pre-vote', term: 3, ...log }), {
      kind: 'request-pre-vote',
      term: 3,
      granted: true,
    })
    assert.deepEqual(await transport.send('go', { kind: 'timeout-now' }), { kind: 'timeout-now' })
    await go.until('timeout-now')
    assert.deepEqual(go.of('request-vote')[0], {
      ...header('ts'),
      Term: 3,
      Candidate: base64('ts'),
      LastLogIndex: 10,
      LastLogTerm: 2,
      LeadershipTransfer: true,
    })
    assert.deepEqual(go.of('timeout-now')[0], header('ts'))
  })

  await t.test('a snapshot', async () => {
    const size = 20_000_000
    const body = Buffer.alloc(size, 'snapshot')
    const response = await transport.sendSnapshot(
      'go',
      {
        kind: 'install-snapshot',
        snapshotVersion: 1,
        term: 4,
        lastLogIndex: 10,
        lastLogTerm: 2,
        configuration: {
          servers: [
            { suffrage: 0, id: 'ts', address: 'ts' },
            { suffrage: 1, id: 'go', address: 'go' },
          ],
        },
        configurationIndex: 1,
        size,
      },
      [body.subarray(0, 7), body.subarray(7)],
    )
    assert.deepEqual(response, { kind: 'install-snapshot', term: 4, success: true })
    await go.until('install-snapshot')
    const [said] = go.of('install-snapshot')
    assert.equal(said?.['sha256'], createHash('sha256').update(body).digest('hex'))
    assert.deepEqual(said?.['configuration'], {
      Servers: [
        { Suffrage: 0, ID: 'ts', Address: 'ts' },
        { Suffrage: 1, ID: 'go', Address: 'go' },
      ],
    })
    assert.equal((await transport.send('go', { kind: 'timeout-now' })).kind, 'timeout-now')
  })

  assert.equal(go.stderr, '')
})

function answerTo(request: RaftRequest): RaftResponse {
  switch (request.kind) {
    case 'append-entries': {
      const { kind, term } = request
      return { kind, term, lastLogIndex: 2 ** 40, success: true, noRetryBackoff: true }
    }
    case 'timeout-now':
      return { kind: request.kind }
    case 'install-snapshot':
      return { kind: request.kind, term: request.term, success: true }
    case 'request-vote':
    case 'request-pre-vote':
      return { kind: request.kind, term: request.term, granted: true }
    default:
      return request satisfies never
  }
}

test('our transport answers hashicorp/raft', { timeout: TEST_TIMEOUT_MS }, async (t) => {
  const asked: [string, RaftRequest][] = []
  const hash = createHash('sha256')
  const meeting = await meet(t, async (from, request, body) => {
    asked.push([from, request])
    for await (const bytes of body ?? []) hash.update(bytes)
    if (request.kind === 'append-entries' && request.term === 666) throw new Error('never')
    return answerTo(request)
  })
  if (meeting === undefined) return
  const { peer, problems } = meeting
  const go = peer('call', 'ts')
  assert.equal(await go.ended, 0, go.stderr)

  assert.deepEqual([...new Set(asked.map(([from]) => from))], ['go'])
  const received = asked.map(([, request]) => request)
  assert.deepEqual(received[0], heartbeat)
  assert.deepEqual(plain(received[1]), plain(append(2)))
  assert.deepEqual(received[2], { ...append(3), entries: [] })
  const pipelined = Array.from({ length: 10 }, (_, index) => 10 + index)
  assert.deepEqual(
    received.flatMap((request) =>
      request.kind === 'append-entries' && request.term >= 10 && request.term < 20
        ? [request.term]
        : [],
    ),
    pipelined,
  )
  assert.deepEqual(
    go.of('pipelined'),
    pipelined.map((term) => ({ asked: term, answered: term, error: '<nil>' })),
  )
  assert.deepEqual(go.of('error'), ['never'])
  assert.deepEqual(go.of('append-entries')[1], {
    ...header('ts'),
    Term: 2,
    LastLog: 2 ** 40,
    Success: true,
    NoRetryBackoff: true,
  })
  assert.deepEqual(go.of('request-vote')[0], {
    ...header('ts'),
    Term: 3,
    Peers: null,
    Granted: true,
  })
  assert.deepEqual(go.of('request-pre-vote')[0], { ...header('ts'), Term: 3, Granted: true })
  const [snapshot] = go.of('install-snapshot')
  assert.equal(snapshot?.['sha256'], hash.digest('hex'))
  const install = received.find((request) => request.kind === 'install-snapshot')
  assert.deepEqual(install?.kind === 'install-snapshot' && install.configuration.servers, [
    { suffrage: 0, id: 'go', address: 'go' },
    { suffrage: 1, id: 'ts', address: 'ts' },
  ])
  assert.equal(go.of('timeout-now').length, 1)
  assert.deepEqual(problems, [])
})

/** Views and Buffers aside. */
function plain(request: RaftRequest | undefined): unknown {
  if (request?.kind !== 'append-entries') return request
  return {
    ...request,
    entries: request.entries.map((each) => ({
      ...each,
      data: [...each.data],
      extensions: [...each.extensions],
    })),
  }
}
