import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RawClient } from '../suite/raw-client.suite.ts'
import { NatsServer } from '../server.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (data: Uint8Array): string => Buffer.from(data).toString()

test('a subscriber is not called before the publisher has returned', async () => {
  const server = new NatsServer()
  const connection = server.connect()
  const got: string[] = []
  connection.subscribe('a', (message) => got.push(text(message.data)))
  connection.publish('a', bytes('1'))
  connection.publish('a', bytes('2'))
  assert.deepEqual(got, [])
  await connection.flush()
  assert.deepEqual(got, ['1', '2'])
  await server.close()
})

test('what a handler publishes is delivered after what waits already', async () => {
  const server = new NatsServer()
  const connection = server.connect()
  const got: string[] = []
  connection.subscribe('a', (message) => {
    got.push(text(message.data))
    if (text(message.data) === '1') connection.publish('a', bytes('3'))
  })
  connection.publish('a', bytes('1'))
  connection.publish('a', bytes('2'))
  await connection.flush()
  await connection.flush()
  assert.deepEqual(got, ['1', '2', '3'])
  await server.close()
})

test('two handlers that answer each other without end leave the event loop its turns', async () => {
  const server = new NatsServer()
  const [one, two] = [server.connect(), server.connect()]
  let rounds = 0
  let stopped = false
  one.subscribe('ping', () => {
    rounds++
    if (!stopped) one.publish('pong', bytes(''))
  })
  two.subscribe('pong', () => {
    if (!stopped) two.publish('ping', bytes(''))
  })
  one.publish('pong', bytes(''))
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  stopped = true
  assert.ok(rounds > 100, `${rounds} rounds`)
  assert.ok(rounds < 100_000, `${rounds} rounds`)
  await server.close()
})

test('with echo off it does not get its own messages and does not count as interest', async () => {
  const server = new NatsServer()
  const quiet = server.connect({ echo: false })
  const other = server.connect()
  const got: string[] = []
  quiet.subscribe('a.*', (message) => got.push(text(message.data)))
  assert.equal(quiet.hasInterest('a.b'), false)
  assert.equal(quiet.publish('a.b', bytes('own')), false)
  assert.equal(other.hasInterest('a.b'), true)
  other.publish('a.b', bytes('foreign'))
  await quiet.flush()
  assert.deepEqual(got, ['foreign'])
  const subscription = other.subscribe('a.>', () => {}, { queue: 'q' })
  assert.equal(quiet.hasInterest('a.b'), true)
  subscription.unsubscribe()
  assert.equal(quiet.hasInterest('a.b'), false)
  await server.close()
})

test('after unsubscribe the handler is not called, not even with what waits', async () => {
  const server = new NatsServer()
  const connection = server.connect()
  const got: string[] = []
  const subscription = connection.subscribe('a', (message) => got.push(text(message.data)))
  connection.publish('a', bytes('1'))
  subscription.unsubscribe()
  subscription.unsubscribe()
  await connection.flush()
  assert.deepEqual(got, [])
  assert.equal(server.stats.subscriptions, 0)
  await server.close()
})

test('a subscription with a count gets so many messages', async () => {
  const server = new NatsServer()
  const connection = server.connect()
  const got: string[] = []
  connection.subscribe('a', (message) => got.push(text(message.data)), { max: 2 })
  for (const one of ['1', '2', '3']) connection.publish('a', bytes(one))
  await connection.flush()
  assert.deepEqual(got, ['1', '2'])
  assert.equal(server.stats.subscriptions, 0)
  await server.close()
})

test('messages cross between TCP and this process in both directions', async () => {
  const server = new NatsServer({ port: -1 })
  await server.listen()
  const connection = server.connect()
  const client = await RawClient.open({ host: '127.0.0.1', port: server.port })
  const got: string[] = []
  connection.subscribe('in.é', (message) => {
    const headers = message.headers === undefined ? '' : text(message.headers)
    got.push(`${message.subject} ${message.reply} ${headers}${text(message.data)}`)
  })
  client.send(
    'SUB out.> 1\r\nPUB in.\xc3\xa9 r\xc3\xa9 2\r\nhi\r\nHPUB in.\xc3\xa9 12 13\r\nNATS/1.0\r\n\r\n!\r\n',
  )
  await client.untilPong()
  await connection.flush()
  assert.deepEqual(got, ['in.é ré hi', 'in.é  NATS/1.0\r\n\r\n!'])
  connection.publish('out.é', bytes('yo'), 'back')
  assert.equal(await client.untilPong(), 'MSG out.\xc3\xa9 1 back 2\r\nyo\r\n')
  await client.close()
  await server.close()
})

test('a message larger than a socket takes at once arrives whole', async () => {
  const server = new NatsServer({ port: -1 })
  await server.listen()
  const connection = server.connect()
  const client = await RawClient.open({ host: '127.0.0.1', port: server.port })
  client.send('SUB big 1\r\n')
  await client.untilPong()
  const payload = Buffer.alloc(1_000_000, 'abcdefg')
  for (let i = 0; i < 5; i++) connection.publish('big', payload)
  const expected = `MSG big 1 1000000\r\n${payload.toString()}\r\n`.repeat(5)
  assert.ok((await client.untilPong()) === expected)
  await client.close()
  await server.close()
})

test('wrong subjects, oversize and use after close are refused by code', async () => {
  const server = new NatsServer({ limits: { maxPayloadBytes: 10 } })
  const connection = server.connect()
  for (const subject of ['', 'a b', 'a\r\nPING', 'a.*', 'a..b']) {
    assert.throws(() => connection.publish(subject, bytes('')), { code: 'bad-subject' })
  }
  assert.throws(() => connection.publish('a', bytes(''), 'r r'), { code: 'bad-subject' })
  assert.throws(() => connection.subscribe('a..b', () => {}), { code: 'bad-subject' })
  assert.throws(() => connection.subscribe('a', () => {}, { queue: 'q q' }), {
    code: 'bad-subject',
  })
  assert.throws(() => connection.publish('a', new Uint8Array(11)), { code: 'too-large' })
  await connection.close()
  await connection.close()
  assert.throws(() => connection.publish('a', bytes('')), { code: 'closed' })
  assert.throws(() => connection.subscribe('a', () => {}), { code: 'closed' })
  await server.close()
  assert.throws(() => server.connect(), { code: 'closed' })
})

test('close delivers what waits', async () => {
  const server = new NatsServer()
  const connection = server.connect()
  const got: string[] = []
  connection.subscribe('a', (message) => got.push(text(message.data)))
  connection.publish('a', bytes('1'))
  await connection.close()
  assert.deepEqual(got, ['1'])
  await server.close()
})

test('a publisher that never yields is refused at the bound, and goes on later', async () => {
  const server = new NatsServer({ limits: { maxPendingBytes: 1000, congestedBytes: 100 } })
  const connection = server.connect()
  let got = 0
  connection.subscribe('a', () => got++)
  const fill = (): void => {
    for (let i = 0; i < 100; i++) connection.publish('a', new Uint8Array(50))
  }
  assert.throws(fill, { code: 'congested' })
  assert.ok(connection.congestedBytes > 1000)
  await connection.relieved()
  assert.equal(connection.congestedBytes, 0)
  assert.equal(got, 6)
  connection.publish('a', new Uint8Array(50))
  await connection.flush()
  assert.equal(got, 7)
  await server.close()
})

test('empty messages fill the bound too', async () => {
  const server = new NatsServer({ limits: { maxPendingBytes: 10_000 } })
  const connection = server.connect()
  connection.subscribe('a', () => {})
  const empty = new Uint8Array(0)
  assert.throws(
    () => {
      for (let i = 0; i < 1000; i++) connection.publish('a', empty)
    },
    { code: 'congested' },
  )
  await server.close()
})

test('a handler that throws is reported and takes nothing from the others', async () => {
  const errors: unknown[] = []
  const server = new NatsServer()
  const connection = server.connect({ onHandlerError: (error) => errors.push(error) })
  const got: string[] = []
  const broken = new Error('broken handler')
  connection.subscribe('a', () => {
    throw broken
  })
  connection.subscribe('a', (message) => got.push(text(message.data)))
  connection.publish('a', bytes('1'))
  connection.publish('a', bytes('2'))
  await connection.flush()
  assert.deepEqual(got, ['1', '2'])
  assert.deepEqual(errors, [broken, broken])
  assert.equal(server.stats.pendingBytes, 0)
  await server.close()
})
