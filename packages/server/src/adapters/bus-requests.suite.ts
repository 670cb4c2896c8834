/** The part of the behaviour suite of Bus that is about requests, and about bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, closeAll, Mailbox, settle, text, type BusUnderTest } from './bus-mailbox.suite.ts'

export function requests(under: BusUnderTest): void {
  test('a request gets its answer', async () => {
    const [asker, answerer] = [
      await under.connect({ echo: false }),
      await under.connect({ echo: false }),
    ]
    answerer.subscribe('service', (message) => {
      answerer.publish(message.reply, bytes(`answer to ${text(message.data)}`))
    })
    await answerer.flush()
    const answers = await Promise.all(
      ['1', '2', '3'].map((question) => asker.request('service', bytes(question), 5000)),
    )
    assert.deepEqual(
      answers.map((answer) => text(answer.data)),
      ['answer to 1', 'answer to 2', 'answer to 3'],
    )
    await closeAll(asker, answerer)
  })

  test('an empty answer is an answer', async () => {
    const bus = await under.connect({ echo: true })
    bus.subscribe('empty', (message) => bus.publish(message.reply, bytes('')))
    await bus.flush()
    assert.equal((await bus.request('empty', bytes('?'), 5000)).data.length, 0)
    await bus.close()
  })

  test('a request nobody hears fails at once', async () => {
    const bus = await under.connect({ echo: true })
    await assert.rejects(bus.request('nobody', bytes(''), 60_000), {
      code: 'no-responders',
      message: 'nats: no responders available for request',
    })
    await bus.close()
  })

  test('a request nobody answers fails after its time', async () => {
    const bus = await under.connect({ echo: true })
    bus.subscribe('silent', () => {})
    await bus.flush()
    await assert.rejects(bus.request('silent', bytes(''), 20), {
      code: 'timeout',
      message: 'nats: timeout',
    })
    await bus.close()
  })

  test('a publish with a reply nobody hears brings no message', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    bus.subscribe('inbox.mine', box.handler)
    await bus.flush()
    bus.publish('unheard', bytes('x'), 'inbox.mine')
    await settle(bus)
    assert.deepEqual(box.texts, [])
    await bus.close()
  })

  test('the second answer to a request is dropped', async () => {
    const [asker, answerer] = [
      await under.connect({ echo: false }),
      await under.connect({ echo: false }),
    ]
    answerer.subscribe('twice', (message) => {
      answerer.publish(message.reply, bytes('first'))
      answerer.publish(message.reply, bytes('second'))
    })
    await answerer.flush()
    assert.equal(text((await asker.request('twice', bytes(''), 5000)).data), 'first')
    await settle(answerer, asker)
    await closeAll(asker, answerer)
  })
}

const BAD_SUBJECTS = ['', ' ', 'a b', 'a\r\nPUB x 0\r\n', 'a\n', 'a\tb', '.a', 'a.', 'a..b']

export function bounds(under: BusUnderTest): void {
  test('nothing can be injected through a subject, a reply or a queue', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    bus.subscribe('>', box.handler)
    await bus.flush()
    for (const subject of BAD_SUBJECTS) {
      assert.throws(() => bus.publish(subject, bytes('')), { code: 'bad-subject' }, subject)
      assert.throws(() => bus.subscribe(subject, () => {}), { code: 'bad-subject' }, subject)
      await assert.rejects(bus.request(subject, bytes(''), 50), { code: 'bad-subject' }, subject)
      if (subject === '') continue
      assert.throws(() => bus.publish('a', bytes(''), subject), { code: 'bad-subject' }, subject)
    }
    for (const subject of ['a.*', 'a.>', '*']) {
      assert.throws(() => bus.publish(subject, bytes('')), { code: 'bad-subject' }, subject)
    }
    for (const queue of ['', 'a b', 'a\r\nPING']) {
      assert.throws(() => bus.subscribe('a', () => {}, { queue }), { code: 'bad-subject' }, queue)
    }
    await settle(bus)
    assert.deepEqual(box.texts, [])
    assert.equal(bus.connected, true)
    await bus.close()
  })

  test('a payload of the largest size passes, one byte more is refused', async () => {
    const bus = await under.connect({ echo: true })
    const sizes: number[] = []
    bus.subscribe('large', (message) => sizes.push(message.data.length))
    await bus.flush()
    assert.equal(bus.maxPayloadBytes, 1_048_576)
    bus.publish('large', new Uint8Array(bus.maxPayloadBytes))
    assert.throws(() => bus.publish('large', new Uint8Array(bus.maxPayloadBytes + 1)), {
      code: 'too-large',
    })
    await assert.rejects(bus.request('large', new Uint8Array(bus.maxPayloadBytes + 1), 50), {
      code: 'too-large',
    })
    await settle(bus)
    assert.deepEqual(sizes, [1_048_576])
    assert.equal(bus.connected, true)
    await bus.close()
  })

  test('a producer that heeds the back-pressure loses nothing', async () => {
    const [from, to] = [await under.connect({ echo: false }), await under.connect({ echo: false })]
    let received = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    to.subscribe('pressure', (message) => {
      received += message.data.length
      if (received === 40_000_000) resolve()
    })
    await to.flush()
    for (let i = 0; i < 4000; i++) {
      from.publish('pressure', new Uint8Array(10_000))
      if (from.pendingBytes > 2_000_000) await from.drained()
    }
    await promise
    assert.equal(received, 40_000_000)
    await closeAll(from, to)
  })

  test('waiting for drained ends, however low the bound of the producer', async () => {
    const bus = await under.connect({ echo: false })
    for (let i = 0; i < 20; i++) bus.publish('low', new Uint8Array(100_000))
    while (bus.pendingBytes > 0) await bus.drained()
    await bus.drained()
    assert.equal(bus.pendingBytes, 0)
    await bus.close()
  })

  test('close delivers what was published, and then everything is refused', async () => {
    const [from, to] = [await under.connect({ echo: false }), await under.connect({ echo: false })]
    const box = new Mailbox()
    to.subscribe('closing', box.handler)
    await to.flush()
    for (let i = 0; i < 100; i++) from.publish('closing', bytes(String(i)))
    await from.close()
    await from.close()
    assert.equal((await box.until(100)).length, 100)
    assert.equal(from.connected, false)
    assert.throws(() => from.publish('closing', bytes('')), { code: 'closed' })
    assert.throws(() => from.subscribe('closing', () => {}), { code: 'closed' })
    await assert.rejects(from.request('closing', bytes(''), 50), { code: 'closed' })
    await assert.rejects(from.flush(), { code: 'closed' })
    await to.close()
  })
}
