import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Bus, BusMessage, BusStatus } from '../bus.ts'

/** What the suite needs of an implementation of Bus. */
export interface BusUnderTest {
  readonly name: string
  /** A new bus on the NATS under test; all buses of one suite share it. */
  connect(options: { readonly echo: boolean; readonly name?: string }): Promise<Bus>
}

/** The behaviour every Bus owes; see ../bus.ts. Subjects differ per test: they share one NATS. */
export function busSuite(under: BusUnderTest): void {
  describe(`bus: ${under.name}`, { timeout: 20_000 }, () => {
    delivery(under)
    subscriptions(under)
    requests(under)
    bounds(under)
  })
}

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (data: Uint8Array): string => Buffer.from(data).toString()

/** Keeps what arrives and waits for a number of messages. */
export class Mailbox {
  readonly messages: { readonly subject: string; readonly reply: string; readonly text: string }[] =
    []
  #changed: () => void = () => {}

  readonly handler = (message: BusMessage): void => {
    const { subject, reply, data } = message
    this.messages.push({ subject, reply, text: text(data) })
    this.#changed()
  }

  get texts(): readonly string[] {
    return this.messages.map((message) => message.text)
  }

  async until(count: number): Promise<readonly string[]> {
    while (this.messages.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#changed = resolve
      await promise
    }
    return this.texts
  }
}

/** Everything sent on `buses` so far has reached its subscribers among `buses`. */
export async function settle(...buses: readonly Bus[]): Promise<void> {
  for (const bus of buses) await bus.flush()
  for (const bus of buses) await bus.flush()
}

async function closeAll(...buses: readonly Bus[]): Promise<void> {
  await Promise.all(buses.map((bus) => bus.close()))
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

function requests(under: BusUnderTest): void {
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

function bounds(under: BusUnderTest): void {
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
