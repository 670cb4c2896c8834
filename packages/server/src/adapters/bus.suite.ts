import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BusStatus } from '../bus.ts'
import { bytes, closeAll, Mailbox, settle, text, type BusUnderTest } from './bus-mailbox.suite.ts'
import { bounds, requests } from './bus-requests.suite.ts'

/** The behaviour every Bus owes; see ../bus.ts. Subjects differ per test: they share one NATS. */
export function busSuite(under: BusUnderTest): void {
  describe(`bus: ${under.name}`, { timeout: 20_000 }, () => {
    delivery(under)
    subscriptions(under)
    requests(under)
    bounds(under)
  })
}

function delivery(under: BusUnderTest): void {
  test('messages arrive in the order of publishing, over all subjects', async () => {
    const [from, to] = [await under.connect({ echo: false }), await under.connect({ echo: true })]
    const box = new Mailbox()
    to.subscribe('order.>', box.handler)
    await to.flush()
    const expected: string[] = []
    for (let i = 0; i < 5000; i++) {
      const payload = String(i).padEnd(i % 500 === 0 ? 30_000 : i % 50, '.')
      expected.push(payload)
      from.publish(`order.${i % 3}`, bytes(payload))
    }
    assert.deepEqual(await box.until(5000), expected)
    await closeAll(from, to)
  })

  test('subject, reply and payload arrive as they were sent', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    bus.subscribe('whole.>', box.handler)
    await bus.flush()
    bus.publish('whole.a', bytes('plain'))
    bus.publish('whole.b', bytes('asked'), 'whole.reply')
    bus.publish('whole.c', bytes(''))
    bus.publish('whole.ü', bytes('ö'), 'antwort.ä')
    await box.until(4)
    assert.deepEqual(box.messages.slice(0, 2), [
      { subject: 'whole.a', reply: '', text: 'plain' },
      { subject: 'whole.b', reply: 'whole.reply', text: 'asked' },
    ])
    assert.deepEqual(box.messages.slice(2), [
      { subject: 'whole.c', reply: '', text: '' },
      { subject: 'whole.ü', reply: 'antwort.ä', text: 'ö' },
    ])
    await bus.close()
  })

  test('a payload may hold any byte', async () => {
    const bus = await under.connect({ echo: true })
    const got: Uint8Array[] = []
    bus.subscribe('binary', (message) => got.push(message.data.slice()))
    await bus.flush()
    const payload = Uint8Array.from({ length: 512 }, (_, i) => i % 256)
    bus.publish('binary', payload)
    bus.publish('binary', payload.subarray(13, 300))
    await settle(bus)
    assert.deepEqual(
      got.map((one) => [...one]),
      [[...payload], [...payload.subarray(13, 300)]],
    )
    await bus.close()
  })

  test('with echo a bus gets its own messages, without it those of others only', async () => {
    const [quiet, loud] = [
      await under.connect({ echo: false }),
      await under.connect({ echo: true }),
    ]
    const [quietBox, loudBox] = [new Mailbox(), new Mailbox()]
    quiet.subscribe('echo', quietBox.handler)
    loud.subscribe('echo', loudBox.handler)
    await settle(quiet, loud)
    quiet.publish('echo', bytes('of quiet'))
    await settle(quiet, loud)
    loud.publish('echo', bytes('of loud'))
    await settle(loud, quiet)
    assert.deepEqual(quietBox.texts, ['of loud'])
    assert.deepEqual(loudBox.texts, ['of quiet', 'of loud'])
    await closeAll(quiet, loud)
  })

  test('the publisher is not called back from inside publish', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    bus.subscribe('later', box.handler)
    await bus.flush()
    bus.publish('later', bytes('x'))
    assert.deepEqual(box.texts, [])
    assert.deepEqual(await box.until(1), ['x'])
    await bus.close()
  })

  test('interest is known, or assumed', async () => {
    const [one, two] = [await under.connect({ echo: false }), await under.connect({ echo: true })]
    two.subscribe('interest.*', () => {})
    await two.flush()
    assert.equal(one.hasInterest('interest.a'), true)
    await closeAll(one, two)
  })
}

function subscriptions(under: BusUnderTest): void {
  test('wildcards match whole tokens', async () => {
    const bus = await under.connect({ echo: true })
    const [star, rest] = [new Mailbox(), new Mailbox()]
    bus.subscribe('wild.*.c', star.handler)
    bus.subscribe('wild.>', rest.handler)
    await bus.flush()
    for (const subject of ['wild', 'wild.a', 'wild.a.c', 'wild.a.b.c', 'wilder.a.c']) {
      bus.publish(subject, bytes(subject))
    }
    await settle(bus)
    assert.deepEqual(star.texts, ['wild.a.c'])
    assert.deepEqual(rest.texts, ['wild.a', 'wild.a.c', 'wild.a.b.c'])
    await bus.close()
  })

  test('each subscription gets its own copy', async () => {
    const bus = await under.connect({ echo: true })
    const [first, second] = [new Mailbox(), new Mailbox()]
    bus.subscribe('copies', first.handler)
    bus.subscribe('copies', second.handler)
    await bus.flush()
    bus.publish('copies', bytes('x'))
    await settle(bus)
    assert.deepEqual([first.texts, second.texts], [['x'], ['x']])
    await bus.close()
  })

  test('a queue group shares the messages, another group and plain subscribers get all', async () => {
    const buses = [await under.connect({ echo: false }), await under.connect({ echo: false })]
    const from = await under.connect({ echo: false })
    const [shared, other, plain] = [new Mailbox(), new Mailbox(), new Mailbox()]
    for (const bus of buses) bus.subscribe('queue', shared.handler, { queue: 'workers' })
    buses[0]?.subscribe('queue', other.handler, { queue: 'others' })
    buses[1]?.subscribe('queue', plain.handler)
    await settle(...buses)
    for (let i = 0; i < 100; i++) from.publish('queue', bytes(String(i)))
    await settle(from, ...buses)
    assert.equal(new Set(shared.texts).size, 100)
    assert.equal(shared.texts.length, 100)
    assert.equal(other.texts.length, 100)
    assert.equal(plain.texts.length, 100)
    await closeAll(from, ...buses)
  })

  test('after unsubscribe the handler is not called', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    const subscription = bus.subscribe('unsub', box.handler)
    await bus.flush()
    bus.publish('unsub', bytes('before'))
    await settle(bus)
    bus.publish('unsub', bytes('under way'))
    subscription.unsubscribe()
    subscription.unsubscribe()
    bus.publish('unsub', bytes('after'))
    await settle(bus)
    assert.deepEqual(box.texts, ['before'])
    await bus.close()
  })

  test('a handler may unsubscribe itself', async () => {
    const bus = await under.connect({ echo: true })
    const got: string[] = []
    const subscription = bus.subscribe('self', (message) => {
      got.push(text(message.data))
      subscription.unsubscribe()
    })
    await bus.flush()
    for (const one of ['1', '2', '3']) bus.publish('self', bytes(one))
    await settle(bus)
    assert.deepEqual(got, ['1'])
    await bus.close()
  })

  test('a subscription with a count gets so many', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    bus.subscribe('max', box.handler, { max: 3 })
    await bus.flush()
    for (let i = 0; i < 10; i++) bus.publish('max', bytes(String(i)))
    await settle(bus)
    assert.deepEqual(box.texts, ['0', '1', '2'])
    await bus.close()
  })

  test('a subscription made before a publish of the same bus gets it, without a flush', async () => {
    const bus = await under.connect({ echo: true })
    const box = new Mailbox()
    const large = 'x'.repeat(100_000)
    bus.publish('sequence', bytes('before'))
    bus.subscribe('sequence', box.handler)
    bus.publish('sequence', bytes(large))
    bus.publish('sequence', bytes('after'))
    await settle(bus)
    assert.deepEqual(box.texts, [large, 'after'])
    await bus.close()
  })

  test('a handler that throws is reported and called again', async () => {
    const bus = await under.connect({ echo: true })
    const statuses: BusStatus[] = []
    bus.onStatus((status) => statuses.push(status))
    let calls = 0
    bus.subscribe('throws', () => {
      calls++
      throw new Error('broken handler')
    })
    await bus.flush()
    bus.publish('throws', bytes('1'))
    bus.publish('throws', bytes('2'))
    await settle(bus)
    assert.equal(calls, 2)
    const errors = statuses.filter((status) => status.kind === 'error')
    assert.deepEqual(
      errors.map((error) => error.reason),
      ['broken handler', 'broken handler'],
    )
    await bus.close()
  })
}
