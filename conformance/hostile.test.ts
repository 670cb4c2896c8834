/** Names, sizes and requests that are meant to hurt: a defined answer each, and the server goes on. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { bytes, type Deployment, freshName, onEachDeployment } from './deployments.ts'
import { Subscription } from './subscription.ts'

/** The server still does its work. */
async function expectAlive(deployment: Deployment): Promise<void> {
  assert.equal(deployment.server.status, undefined, deployment.server.output)
  const stream = await deployment.stream()
  assert.deepEqual(await deployment.publish(stream, ['alive']), [0])
}

const names = [
  '..',
  '.',
  '../escape',
  '../../../../tmp/escape',
  '/etc/passwd',
  'a/../../b',
  'a\\..\\b',
  'nul\u0000byte',
  '%2e%2e%2f',
  'CON',
  'trailing.',
  'ends with space ',
  'line\nbreak',
  'line\r\nPUB x 0',
  'a b',
  '*',
  '>',
  'a.*.b',
  'ünïcödé',
  'é',
  'e\u0301',
  '🔑',
  'UPPER',
  'upper',
  '__proto__',
  'constructor',
  'x'.repeat(255),
  'y'.repeat(256),
  'z'.repeat(5_000),
]

onEachDeployment('A hostile stream name', (running) => {
  test('is refused with INVALID_ARGUMENT or works wholly, never as a path', async () => {
    const { api, server } = running()
    for (const name of names) {
      const shown = JSON.stringify(name.slice(0, 40))
      const outcome = await api.call('CreateStream', { name, subject: freshName() })
      assert.ok(['OK', 'INVALID_ARGUMENT'].includes(outcome.code), `${shown}: ${outcome.code}`)
      if (outcome.code !== 'OK') continue
      assert.deepEqual(await running().publish(name, ['a', 'b']), [0, 1], shown)
      const subscription = await Subscription.open(api, { stream: name, startPosition: 'EARLIEST' })
      const read = await subscription.messages(2)
      assert.deepEqual(
        read.map((message) => message.value.toString()),
        ['a', 'b'],
        shown,
      )
      subscription.cancel()
    }
    // Nothing was written beside the data directory.
    assert.deepEqual(
      readdirSync(dirname(server.dataDir)).toSorted(),
      readdirSync(dirname(server.dataDir))
        .filter((entry) => ['data', 'liftbridge.yaml'].includes(entry))
        .toSorted(),
    )
    assert.ok(!existsSync(join('/tmp', 'escape')))
    await expectAlive(running())
  })

  test('survives a restart as a different stream from every other', async () => {
    const pairs = ['case', 'CASE', 'Case', 'dot.ted', 'dot', 'per%63ent', 'percent']
    for (const name of pairs) {
      await running().stream({ name, subject: freshName() })
      await running().publish(name, [`in ${name}`])
    }
    await running().server.kill()
    await running().server.restart()
    for (const name of pairs) {
      const { messages } = await Subscription.readAll(running().api, {
        stream: name,
        startPosition: 'EARLIEST',
        stopPosition: 'STOP_LATEST',
      })
      assert.deepEqual(
        messages.map((message) => message.value.toString()),
        [`in ${name}`],
      )
    }
  })
})

onEachDeployment('A hostile message', (running) => {
  test('[G6] with a header name of 32,768 bytes is stored whole or refused', async () => {
    for (const length of [32_767, 32_768, 65_535, 65_536, 100_000]) {
      const stream = await running().stream()
      const header = 'h'.repeat(length)
      const outcome = await running().api.call('Publish', {
        stream,
        headers: { [header]: bytes('v') },
      })
      assert.notEqual(outcome.code, 'DEADLINE_EXCEEDED')
      const [offset] = await running().publish(stream, ['next'])
      assert.equal(offset, outcome.code === 'OK' ? 1 : 0, `${length}: ${outcome.code}`)
      const { messages } = await Subscription.readAll(running().api, {
        stream,
        startPosition: 'EARLIEST',
        stopPosition: 'STOP_LATEST',
      })
      if (outcome.code === 'OK') assert.equal(messages[0]?.headers[header]?.toString(), 'v')
      assert.equal(messages.at(-1)?.value.toString(), 'next')
    }
    await expectAlive(running())
  })

  test('with tens of thousands of headers is stored whole or refused', async () => {
    const stream = await running().stream()
    const headers: Record<string, Buffer> = {}
    for (let i = 0; i < 40_000; i++) headers[`h${i}`] = bytes('v')
    const outcome = await running().api.call('Publish', { stream, headers })
    if (outcome.code === 'OK') {
      const { messages } = await Subscription.readAll(running().api, {
        stream,
        startPosition: 'EARLIEST',
        stopPosition: 'STOP_LATEST',
      })
      assert.equal(Object.keys(messages[0]?.headers ?? {}).length, 40_002)
    }
    await expectAlive(running())
  })

  test('whose strings are not UTF-8, or whose inbox is a subject of the server', async () => {
    const stream = await running().stream()
    const inboxes = ['liftbridge-default.raft.metadata.info', '$SYS.REQ', '>', 'a b', 'a\r\nb']
    for (const ackInbox of inboxes) {
      const outcome = await running().api.call(
        'Publish',
        { stream, ackInbox, value: bytes('x') },
        { deadlineMs: 2_000 },
      )
      // Refused, or answered by the server's own way: never handed to NATS as a command.
      assert.ok(['OK', 'INVALID_ARGUMENT', 'UNKNOWN'].includes(outcome.code), outcome.code)
    }
    const badUtf8 = Buffer.from([0x1a, 2, 0xff, 0xfe])
    const outcome = await running().api.raw('/proto.API/Publish', badUtf8)
    assert.notEqual(outcome.code, 'OK')
    await expectAlive(running())
  })

  test('whose offsets and times are at the ends of their range', async () => {
    const stream = await running().stream()
    await running().publish(stream, ['a'])
    const extremes = ['9223372036854775807', '-9223372036854775808']
    for (const value of extremes) {
      for (const request of [
        { startPosition: 'OFFSET', startOffset: value },
        { startPosition: 'TIMESTAMP', startTimestamp: value },
        { startPosition: 'EARLIEST', stopPosition: 'STOP_OFFSET', stopOffset: value },
        { startPosition: 'EARLIEST', stopPosition: 'STOP_TIMESTAMP', stopTimestamp: value },
      ]) {
        const subscription = Subscription.start(running().api, { stream, ...request })
        const event = await subscription.event()
        assert.notEqual(event, undefined, `no answer to ${JSON.stringify(request)}`)
        subscription.cancel()
      }
      await running().api.call('Publish', { stream, expectedOffset: value })
    }
    await expectAlive(running())
  })

  test('creating a stream with settings at the ends of their range is answered', async () => {
    for (const value of [-1, 0, 1, 2 ** 31, 2 ** 53]) {
      const name = freshName()
      const outcome = await running().api.call('CreateStream', {
        name,
        subject: name,
        retentionMaxBytes: { value },
        retentionMaxMessages: { value },
        retentionMaxAge: { value },
        cleanerInterval: { value: Math.max(value, 1_000) },
        segmentMaxBytes: { value },
        segmentMaxAge: { value },
      })
      assert.ok(['OK', 'INVALID_ARGUMENT'].includes(outcome.code), `${value}: ${outcome.code}`)
      if (outcome.code === 'OK') assert.deepEqual(await running().publish(name, ['a', 'b']), [0, 1])
    }
    await expectAlive(running())
  })
})
