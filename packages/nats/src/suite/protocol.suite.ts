import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ProtocolCase } from './protocol-case.suite.ts'
import { PUBLISH_CASES } from './publish-cases.suite.ts'
import { SESSION_CASES } from './session-cases.suite.ts'
import { QUIET, RawClient, type Address } from './raw-client.suite.ts'

export const PROTOCOL_CASES: readonly ProtocolCase[] = [...SESSION_CASES, ...PUBLISH_CASES]

/** A server the suite runs against. */
export interface ServerUnderTest {
  readonly name: string
  /** True for the package's own server: where we chose otherwise than nats-server, that is right. */
  readonly ours: boolean
  readonly address: () => Address
}

/** The protocol as a client sees it: the same cases for our server and for nats-server. */
export function protocolSuite(server: ServerUnderTest): void {
  describe(`protocol of ${server.name}`, { timeout: 30_000 }, () => {
    for (const scenario of PROTOCOL_CASES) {
      test(scenario.name, () => converse(server, scenario, (client, text) => client.send(text)))
    }
    for (const scenario of PROTOCOL_CASES.filter(canBeSentByteByByte)) {
      test(`byte by byte: ${scenario.name}`, () => converse(server, scenario, sendByteByByte))
    }
    severalClients(server)
  })
}

/**
 * Where the server closes, bytes still under way to it would reset the connection and its answer.
 * nats-server complains twice about the target of a PUB that is split in the wrong place.
 */
function canBeSentByteByByte(scenario: ProtocolCase): boolean {
  return (
    scenario.closed !== true &&
    scenario.send.length < 200 &&
    !scenario.answer.includes('Invalid Publish Subject')
  )
}

export async function converse(
  server: ServerUnderTest,
  scenario: ProtocolCase,
  send: (client: RawClient, text: string) => unknown,
): Promise<void> {
  const client = await RawClient.open(server.address(), '')
  const expected = server.ours && scenario.ours !== undefined ? scenario.ours : scenario
  await send(client, scenario.send)
  if (expected.closed === true) {
    assert.equal(shortened(await client.untilClosed()), expected.answer)
    return
  }
  await client.until(
    () => client.closed || shortened(client.received).length >= expected.answer.length,
  )
  // Nothing more comes: the next thing is the answer to this PING.
  client.send('PING\r\n')
  await client.until(() => client.closed || client.received.endsWith('PONG\r\n'))
  await client.until(
    () => client.closed || shortened(client.received).length >= expected.answer.length + 6,
  )
  assert.equal(shortened(client.received), `${expected.answer}PONG\r\n`)
  await client.close()
}

async function sendByteByByte(client: RawClient, text: string): Promise<void> {
  for (const byte of text) {
    if (client.closed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    client.socket.write(Buffer.from(byte, 'latin1'), () => resolve())
    await promise
  }
}

/** A 503 as "503 inbox sid": later releases of nats-server and ours name the subject in it. */
function shortened(text: string): string {
  const notice = /HMSG (\S+) (\S+) \d+ \d+\r\nNATS\/1\.0 503\r\n(?:Nats-Subject: .*\r\n)?\r\n\r\n/g
  return text.replaceAll(notice, '503 $1 $2\r\n')
}

function severalClients(server: ServerUnderTest): void {
  const open = (hello: string = QUIET): Promise<RawClient> =>
    RawClient.open(server.address(), hello)

  test('INFO says what a client must know', async () => {
    const client = await open()
    const info: Record<string, unknown> = JSON.parse(client.info)
    assert.equal(info['headers'], true)
    assert.equal(info['max_payload'], 1048576)
    assert.equal(info['proto'], 1)
    assert.equal(typeof info['server_id'], 'string')
    assert.equal(typeof info['client_id'], 'number')
    assert.equal(info['port'], server.address().port)
    await client.close()
  })

  test('what one client publishes reaches another in order, whatever the sizes', async () => {
    const [from, to] = [await open(), await open()]
    to.send('SUB order.> 1\r\n')
    await to.untilPong()
    let sent = ''
    let expected = ''
    for (let i = 0; i < 300; i++) {
      const payload = String(i).padEnd((i * 977) % 40_000, '.')
      sent += `PUB order.${i % 7} ${payload.length}\r\n${payload}\r\n`
      expected += `MSG order.${i % 7} 1 ${payload.length}\r\n${payload}\r\n`
    }
    from.send(sent)
    await from.untilPong()
    assert.ok((await to.untilPong()) === expected)
    await Promise.all([from.close(), to.close()])
  })

  test('a message of exactly max_payload passes', async () => {
    const client = await open('CONNECT {"verbose":false,"headers":true}\r\n')
    const payload = 'p'.repeat(1_048_576)
    client.send(`SUB big 1\r\nPUB big 1048576\r\n${payload}\r\n`)
    assert.ok((await client.untilPong()) === `MSG big 1 1048576\r\n${payload}\r\n`)
    await client.close()
  })

  test('a client without headers gets the message without them', async () => {
    const [from, to] = [await open(), await open('CONNECT {"verbose":false}\r\n')]
    to.send('SUB strip 1\r\n')
    await to.untilPong()
    from.send('HPUB strip 12 14\r\nNATS/1.0\r\n\r\nhi\r\n')
    await from.untilPong()
    assert.equal(await to.untilPong(), 'MSG strip 1 2\r\nhi\r\n')
    await Promise.all([from.close(), to.close()])
  })

  test('a queue group gets one copy of each, others get all', async () => {
    const [from, one, two, all] = await Promise.all([open(), open(), open(), open()])
    one.send('SUB group.a workers 1\r\n')
    two.send('SUB group.* workers 1\r\n')
    all.send('SUB group.a 1\r\n')
    await Promise.all([one, two, all].map((client) => client.untilPong()))
    from.send('PUB group.a 1\r\nx\r\n'.repeat(200))
    await from.untilPong()
    const counts = await Promise.all(
      [one, two, all].map(async (client) => (await client.untilPong()).split('MSG').length - 1),
    )
    assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 200)
    assert.ok((counts[0] ?? 0) > 20 && (counts[1] ?? 0) > 20, `shares ${counts.join(', ')}`)
    assert.equal(counts[2], 200)
    await Promise.all([from, one, two, all].map((client) => client.close()))
  })

  test('two queue groups get one copy each', async () => {
    const [from, one, two] = [await open(), await open(), await open()]
    one.send('SUB pair g1 1\r\n')
    two.send('SUB pair g2 1\r\n')
    await Promise.all([one.untilPong(), two.untilPong()])
    from.send('PUB pair 1\r\nx\r\n'.repeat(10))
    await from.untilPong()
    assert.equal((await one.untilPong()).split('MSG').length - 1, 10)
    assert.equal((await two.untilPong()).split('MSG').length - 1, 10)
    await Promise.all([from.close(), one.close(), two.close()])
  })

  test('a queue member that left gets nothing more', async () => {
    const [from, one, two] = [await open(), await open(), await open()]
    one.send('SUB leave q 1\r\n')
    two.send('SUB leave q 1\r\n')
    await Promise.all([one.untilPong(), two.untilPong()])
    two.send('UNSUB 1\r\n')
    await two.untilPong()
    from.send('PUB leave 1\r\nx\r\n'.repeat(50))
    await from.untilPong()
    assert.equal((await one.untilPong()).split('MSG').length - 1, 50)
    assert.equal(await two.untilPong(), '')
    await Promise.all([from.close(), one.close(), two.close()])
  })

  test('a request is answered', async () => {
    const [asker, answerer] = [await open(), await open()]
    answerer.send('SUB service 1\r\n')
    await answerer.untilPong()
    asker.send('SUB inbox.* 9\r\nPUB service inbox.1 2\r\nq?\r\n')
    await asker.untilPong()
    assert.equal(await answerer.untilPong(), 'MSG service 1 inbox.1 2\r\nq?\r\n')
    answerer.send('PUB inbox.1 2\r\na!\r\n')
    await answerer.untilPong()
    assert.equal(await asker.untilPong(), 'MSG inbox.1 9 2\r\na!\r\n')
    await Promise.all([asker.close(), answerer.close()])
  })

  test('after a subscriber hung up there are no responders', async () => {
    const [asker, answerer] = [await open(), await open()]
    answerer.send('SUB gone 1\r\n')
    await answerer.untilPong()
    answerer.send('UNSUB 1\r\n')
    await answerer.untilPong()
    asker.send('SUB inbox 9\r\nPUB gone inbox 0\r\n\r\n')
    assert.equal(shortened(await asker.untilPong()), '503 inbox 9\r\n')
    await Promise.all([asker.close(), answerer.close()])
  })

  test('one broken client does not touch another', async () => {
    const [steady, broken] = [await open(), await open()]
    steady.send('SUB steady 1\r\n')
    await steady.untilPong()
    broken.send('SUB steady 1\r\nPUB steady 5\r\nab')
    broken.send('cdefgh')
    assert.match(await broken.untilClosed(), /Unknown Protocol Operation/)
    steady.send('PUB steady 1\r\nx\r\n')
    assert.equal(await steady.untilPong(), 'MSG steady 1 1\r\nx\r\n')
    await steady.close()
  })
}
