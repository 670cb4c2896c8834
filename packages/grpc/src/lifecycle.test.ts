import assert from 'node:assert/strict'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { GrpcChannel } from './client.ts'
import { encodeFrame } from './frames-out.ts'
import type { MethodTable, ServerCall } from './method.ts'
import { FRAME, RawPeer } from './raw-http2.suite.ts'
import { GrpcServer } from './server.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { failure, startServer, until, type TestServer } from './loopback-server.suite.ts'

let lastCall: ServerCall | undefined
let release: () => void = () => undefined
const methods: MethodTable = {
  '/t.T/Echo': { kind: 'unary', handle: async (request) => request },
  // Answers when the test says so.
  '/t.T/Later': {
    kind: 'unary',
    handle: (request, call) => {
      lastCall = call
      return new Promise((resolve) => (release = () => resolve(request)))
    },
  },
  '/t.T/Live': {
    kind: 'server-stream',
    handle: async (_request, call, responses) => {
      lastCall = call
      responses.write(encodeFrame(new Uint8Array(0)))
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
    },
  },
  // Ends with an error while the client still sends.
  '/t.T/Refuse': {
    kind: 'bidi',
    handle: async () => {
      throw new GrpcError(GrpcStatus.PERMISSION_DENIED, 'no')
    },
  },
}

async function withServer(
  options: Partial<ConstructorParameters<typeof GrpcServer>[0]>,
  body: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startServer({ methods, ...options })
  try {
    await body(server)
  } finally {
    await server.close()
  }
}

const nothing = new Uint8Array(0)

test('stop ends live streams and running calls with UNAVAILABLE, never OK', async () => {
  await withServer({}, async (server) => {
    const channel = await server.channel()
    const live = channel.serverStream('/t.T/Live', nothing)[Symbol.asyncIterator]()
    assert.equal((await live.next()).done, false)
    const unary = failure(channel.unary('/t.T/Later', nothing))
    await until('both run', () => server.grpc.stats.calls === 2)
    const ended = failure(live.next())
    await server.grpc.stop()
    assert.equal((await ended).code, GrpcStatus.UNAVAILABLE)
    assert.equal((await unary).code, GrpcStatus.UNAVAILABLE)
    assert.equal((lastCall?.signal.reason as GrpcError | undefined)?.code, GrpcStatus.UNAVAILABLE)
    assert.deepEqual([server.grpc.stats.sockets, server.grpc.stats.sessions], [0, 0])
    await channel.closed
    assert.equal(channel.state, 'closed')
    assert.equal((await failure(channel.unary('/t.T/Echo', nothing))).code, GrpcStatus.UNAVAILABLE)
  })
})

test('drain lets running calls finish, refuses new ones, and closes', async () => {
  await withServer({}, async (server) => {
    const channel = await server.channel()
    const running = channel.unary('/t.T/Later', Buffer.from('kept'))
    await until('it runs', () => server.grpc.stats.calls === 1)
    const drained = server.grpc.drain(10_000)
    await until('the client knows', () => channel.state === 'draining')
    assert.equal((await failure(channel.unary('/t.T/Echo', nothing))).code, GrpcStatus.UNAVAILABLE)
    release()
    assert.equal(Buffer.from(await running).toString(), 'kept')
    await drained
    assert.equal(server.grpc.stats.sockets, 0)
    await assert.rejects(server.channel({ connectTimeoutMs: 500 }))
  })
})

test('drain ends what still runs when its time is over', async () => {
  await withServer({}, async (server) => {
    const channel = await server.channel()
    const running = failure(channel.unary('/t.T/Later', nothing))
    await until('it runs', () => server.grpc.stats.calls === 1)
    await server.grpc.drain(20)
    assert.equal((await running).code, GrpcStatus.UNAVAILABLE)
  })
})

test('the loss of the connection fails calls UNAVAILABLE on the client, cancels on the server', async () => {
  await withServer({}, async (server) => {
    const channel = await server.channel()
    const running = failure(channel.unary('/t.T/Later', nothing))
    await until('it runs', () => server.grpc.stats.calls === 1)
    const call = lastCall
    await channel.close(0)
    assert.equal((await running).code, GrpcStatus.UNAVAILABLE)
    await until('the handler is told', () => call?.signal.aborted === true)
    await until('nothing is left', () => server.grpc.stats.sockets === 0)
  })
})

test('an error while the client still sends is a status, and the client is told to stop', async () => {
  await withServer({}, async (server) => {
    const channel = await server.channel()
    const call = channel.bidi('/t.T/Refuse')
    assert.equal((await failure(call.trailers)).code, GrpcStatus.PERMISSION_DENIED)
    assert.throws(() => call.write(encodeFrame(nothing)), GrpcError)
    await call.drained()
    await until('the call is over on both sides', () => {
      return channel.openCalls === 0 && server.grpc.stats.calls === 0
    })
    assert.equal(channel.state, 'open')
  })
})

test('an idle connection is closed, one with a silent call is not', async () => {
  const limits = { idleTimeoutMs: 60, sweepIntervalMs: 10 }
  await withServer({ limits }, async (server) => {
    const busy = await server.channel()
    const live = busy.serverStream('/t.T/Live', nothing)[Symbol.asyncIterator]()
    await live.next()
    const idle = await server.channel()
    await idle.closed
    assert.equal(busy.state, 'open')
    await live.return?.()
  })
})

test('a connection of age takes no new calls and lets the running ones finish', async () => {
  const cuts: string[] = []
  const limits = { connectionAgeMaxMs: 30, sweepIntervalMs: 10 }
  await withServer({ limits, onCut: (reason) => cuts.push(reason) }, async (server) => {
    const idle = await server.channel()
    const busy = await server.channel()
    const running = busy.unary('/t.T/Later', Buffer.from('kept'))
    await idle.closed
    await until('the client is sent elsewhere', () => busy.state === 'draining')
    assert.equal((await failure(busy.unary('/t.T/Echo', nothing))).code, GrpcStatus.UNAVAILABLE)
    release()
    assert.equal(Buffer.from(await running).toString(), 'kept')
    await busy.closed
    assert.equal((await (await server.channel()).unary('/t.T/Echo', Buffer.from('x'))).length, 1)
    assert.deepEqual(cuts, [])
  })
})

test('a call that outlives the age of its connection and the grace ends UNAVAILABLE', async () => {
  const cuts: string[] = []
  const limits = { connectionAgeMaxMs: 30, connectionAgeGraceMs: 30, sweepIntervalMs: 10 }
  await withServer({ limits, onCut: (reason) => cuts.push(reason) }, async (server) => {
    const channel = await server.channel()
    const live = channel.serverStream('/t.T/Live', nothing)[Symbol.asyncIterator]()
    await live.next()
    assert.equal((await failure(live.next())).code, GrpcStatus.UNAVAILABLE)
    assert.deepEqual(cuts, ['age'])
  })
})

test('a dead peer with an open call is found by PING and cut, a live one is not', async () => {
  const cuts: string[] = []
  const limits = { keepaliveIntervalMs: 30, keepaliveTimeoutMs: 60, sweepIntervalMs: 10 }
  await withServer({ limits, onCut: (reason) => cuts.push(reason) }, async (server) => {
    const alive = await server.channel()
    const live = alive.serverStream('/t.T/Live', nothing)[Symbol.asyncIterator]()
    await live.next()
    const dead = await RawPeer.connect(server.port)
    await until('the dead peer is cut', () => dead.closed)
    assert.deepEqual(cuts, ['keepalive-timeout'])
    assert.ok(dead.count(FRAME.PING) > 0)
    assert.equal(alive.state, 'open')
  })
})

test('connections beyond the cap, of all and of one address, are refused', async () => {
  for (const limits of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
    await withServer({ limits }, async (server) => {
      const first = await server.channel()
      await server.channel()
      const error = await failure(server.channel())
      assert.equal(error.code, GrpcStatus.UNAVAILABLE)
      assert.equal(server.grpc.stats.connectionsRefused, 1)
      await first.close()
      await until('the place is free', () => server.grpc.stats.sockets === 1)
      await server.channel()
    })
  }
})

test('what is not gRPC is answered in HTTP: 405 and 415', async () => {
  await withServer({}, async (server) => {
    const session = connectHttp2(`http://${server.target}`)
    const status = (headers: Record<string, string>): Promise<IncomingHttpHeaders> =>
      new Promise((resolve) => {
        session
          .request({ ':path': '/t.T/Echo', ...headers }, { endStream: true })
          .on('response', resolve)
      })
    assert.equal((await status({ ':method': 'GET' }))[':status'], 405)
    assert.equal((await status({ ':method': 'POST' }))[':status'], 415)
    const json = await status({ ':method': 'POST', 'content-type': 'application/json' })
    assert.equal(json[':status'], 415)
    const web = await status({ ':method': 'POST', 'content-type': 'application/grpc-web' })
    assert.equal(web[':status'], 415)
    const proto = await status({ ':method': 'POST', 'content-type': 'application/grpc+proto' })
    assert.equal(proto['content-type'], 'application/grpc+proto')
    session.destroy()
  })
})

test('bad call headers are refused with the status that fits', async () => {
  await withServer({}, async (server) => {
    const session = connectHttp2(`http://${server.target}`)
    const answer = (headers: Record<string, string>, body: Uint8Array = encodeFrame(nothing)) =>
      new Promise<IncomingHttpHeaders>((resolve) => {
        const base = { ':method': 'POST', ':path': '/t.T/Echo', 'content-type': 'application/grpc' }
        const stream = session.request({ ...base, ...headers })
        stream.on('response', (got) => {
          if (got['grpc-status'] !== undefined) resolve(got)
        })
        stream.on('trailers', resolve)
        stream.resume()
        stream.end(body)
      })
    const timeout = await answer({ 'grpc-timeout': '5 S' })
    assert.equal(timeout['grpc-status'], '13')
    const encoding = await answer({ 'grpc-encoding': 'snappy' })
    assert.equal(encoding['grpc-status'], '12')
    assert.equal(encoding['grpc-accept-encoding'], 'identity,gzip')
    const flagged = await answer({}, encodeFrame(nothing, true))
    assert.equal(flagged['grpc-status'], '13')
    assert.equal(
      flagged['grpc-message'],
      'grpc: compressed flag set with identity or empty encoding',
    )
    const notGzip = await answer({ 'grpc-encoding': 'gzip' }, encodeFrame(Buffer.from('xx'), true))
    assert.equal(notGzip['grpc-status'], '13')
    const badFlag = await answer({}, Buffer.from([2, 0, 0, 0, 0]))
    assert.equal(badFlag['grpc-message'], 'grpc: received unexpected payload format 2')
    const cut = await answer({}, Buffer.from([0, 0, 0, 0, 9, 1, 2]))
    assert.equal(cut['grpc-status'], '13')
    const none = await answer({}, nothing)
    assert.equal(none['grpc-status'], '13')
    const two = await answer({}, Buffer.concat([encodeFrame(nothing), encodeFrame(nothing)]))
    assert.equal(two['grpc-status'], '13')
    const late = await answer({ 'grpc-timeout': '0n', ':path': '/t.T/Later' })
    assert.equal(late['grpc-status'], '4')
    const absurd = await answer({ 'grpc-timeout': '99999999H' })
    assert.equal(absurd['grpc-status'], '0')
    session.destroy()
  })
})

test('a channel to nobody, to a server of something else, and to a silent one fails UNAVAILABLE', async () => {
  const greeting = createServer((socket) => socket.end('SSH-2.0-hello\r\n'))
  const silent = createServer((socket) => socket.resume())
  const ports: number[] = []
  for (const listener of [greeting, silent]) {
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    ports.push((listener.address() as AddressInfo).port)
  }
  for (const port of [1, ...ports]) {
    const target = { host: '127.0.0.1', port, connectTimeoutMs: 100 }
    assert.equal((await failure(GrpcChannel.connect(target))).code, GrpcStatus.UNAVAILABLE)
  }
  greeting.close()
  silent.close()
})

test('bytes that a sniffer read and put back are not lost', async () => {
  const grpc = new GrpcServer({ methods })
  const listener = createServer((socket) => {
    socket.once('readable', () => {
      const head = socket.read() as Buffer | null
      if (head === null) return
      assert.equal(head.toString('latin1', 0, 3), 'PRI')
      socket.unshift(head)
      grpc.handleConnection(socket)
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  const channel = await GrpcChannel.connect({ host: '127.0.0.1', port })
  assert.equal((await channel.unary('/t.T/Echo', Buffer.from('x'))).length, 1)
  await channel.close()
  await grpc.stop()
  listener.close()
})

test('a closing channel lets a call finish and refuses new ones', () =>
  withServer({}, async (server) => {
    const channel = await server.channel()
    lastCall = undefined
    const running = channel.unary('/t.T/Later', Buffer.from('x'))
    await until('the call runs', () => lastCall !== undefined)
    const closing = channel.close(60_000)
    await assert.rejects(channel.unary('/t.T/Echo', Buffer.from('y')), GrpcError)
    release()
    assert.equal(Buffer.from(await running).toString(), 'x')
    await closing
  }))

test('a closing channel ends a stream that stays open once its grace is over', () =>
  withServer({}, async (server) => {
    const channel = await server.channel()
    const live = channel.serverStream('/t.T/Live', new Uint8Array(0))
    const messages = live[Symbol.asyncIterator]()
    await messages.next()
    const ended = failure(messages.next())
    await channel.close(1)
    assert.equal((await ended).code, GrpcStatus.UNAVAILABLE)
    assert.equal(channel.openCalls, 0)
  }))
