/** Whom a publish reaches, compared with what a NATS server does with the same subscriptions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NatsServer } from '@liftbridge/nats'
import {
  api,
  create,
  decodePublishRequest,
  PublishEnvelopeWriter,
  PublishView,
  toBinary,
} from '@liftbridge/wire'
import { EmbeddedBus } from '../adapters/embedded-bus.ts'
import { silentLogger } from '../logging/logger.ts'
import { NatsAcks } from './nats-acks.ts'
import { SubjectRouter, type Listener } from './subject-router.ts'

type Spec = { readonly subject: string; readonly group: string }

const RUNS = Number(process.env['ROUTER_RUNS'] ?? 60)

/** Few tokens, so that subjects meet often. */
const token = fc.constantFrom('a', 'b', 'c')
const literal = fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('.'))
const pattern = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: token }, fc.constant('*')), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.boolean(),
  )
  .map(([tokens, open]) => (open ? [...tokens, '>'] : tokens).join('.'))
const spec: fc.Arbitrary<Spec> = fc.record({
  subject: fc.oneof(literal, pattern, fc.constant('>')),
  group: fc.constantFrom('', '', '', 'g1', 'g2'),
})

class Recorder implements Listener {
  readonly subject: string
  readonly group: string
  readonly values: string[] = []
  kicked = 0

  constructor({ subject, group }: Spec) {
    this.subject = subject
    this.group = group
  }

  accept(publish: PublishView): void {
    const { bytes, valueStart, valueEnd } = publish
    this.values.push(Buffer.from(bytes.subarray(valueStart, valueEnd)).toString())
  }

  kick(): void {
    this.kicked = this.values.length
  }
}

function busesOf(nats: NatsServer): { streams: EmbeddedBus; publishes: EmbeddedBus } {
  return {
    streams: new EmbeddedBus(nats, { name: 'streams', echo: false }),
    publishes: new EmbeddedBus(nats, { name: 'publishes', echo: true }),
  }
}

function routerOn(buses: ReturnType<typeof busesOf>): SubjectRouter {
  const natsAcks = new NatsAcks({ bus: buses.publishes, namespace: 'lift', logger: silentLogger })
  return new SubjectRouter({ ...buses, natsAcks })
}

/** As the API publishes: in process, or through NATS where a group listens. */
function publish(router: SubjectRouter, subject: string, value: string): void {
  const request = create(api.PublishRequestSchema, {
    stream: 's',
    value: Buffer.from(value),
    expectedOffset: -1n,
  })
  const view = new PublishView()
  assert.ok(decodePublishRequest(view, toBinary(api.PublishRequestSchema, request)))
  const route = router.routeOf(subject)
  const envelopes = new PublishEnvelopeWriter('s', subject)
  if (route.grouped) router.publishThroughNats(subject, view, envelopes, undefined)
  else router.publish({ route, envelopes, local: undefined }, view, undefined)
  router.kick()
}

/** How many copies each listener without a group has, and each group together. */
function copies(recorders: readonly Recorder[], value: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [index, { subject, group, values }] of recorders.entries()) {
    // Members of a queue group of NATS share their messages when they name the same subject.
    const key = group === '' ? `${index}` : `${group} ${subject}`
    const count = values.filter((one) => one === value).length
    counts.set(key, (counts.get(key) ?? 0) + count)
  }
  return counts
}

/** The same subscriptions, as any NATS client would have them. */
async function natsDelivers(specs: readonly Spec[], subjects: readonly string[]) {
  const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
  const bus = new EmbeddedBus(nats, { name: 'subscriber', echo: true })
  const recorders = specs.map((one) => new Recorder(one))
  for (const recorder of recorders) {
    const options = recorder.group === '' ? {} : { queue: recorder.group }
    bus.subscribe(
      recorder.subject,
      ({ data }) => void recorder.values.push(Buffer.from(data).toString()),
      options,
    )
  }
  for (const [index, subject] of subjects.entries()) bus.publish(subject, Buffer.from(`${index}`))
  await bus.flush()
  await bus.close()
  return recorders
}

/** Groups as a whole: NATS picks one member of a queue group, whatever subjects the members name. */
function byGroup(counts: Map<string, number>): Map<string, number> {
  const merged = new Map<string, number>()
  for (const [key, count] of counts) {
    const [group = ''] = key.split(' ')
    merged.set(group, (merged.get(group) ?? 0) + count)
  }
  return merged
}

test('a publish reaches exactly those that NATS would deliver to, each once', async () => {
  const shape = fc.record({
    specs: fc.array(spec, { minLength: 1, maxLength: 8 }),
    subjects: fc.array(literal, { minLength: 1, maxLength: 6 }),
  })
  await fc.assert(
    fc.asyncProperty(shape, async ({ specs, subjects }) => {
      const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
      const buses = busesOf(nats)
      const router = routerOn(buses)
      const recorders = specs.map((one) => new Recorder(one))
      for (const recorder of recorders) router.listen(recorder)
      for (const [index, subject] of subjects.entries()) publish(router, subject, `${index}`)
      await buses.publishes.flush()
      await buses.streams.flush()
      const expected = await natsDelivers(specs, subjects)
      for (const index of subjects.keys()) {
        const value = `${index}`
        assert.deepEqual(byGroup(copies(recorders, value)), byGroup(copies(expected, value)))
      }
      for (const { kicked, values } of recorders) assert.equal(kicked, values.length)
      await Promise.all([buses.streams.close(), buses.publishes.close()])
    }),
    { numRuns: RUNS },
  )
})

test('two servers on one NATS: every listener of both gets each publish once, a group one copy', async () => {
  const shape = fc.record({
    here: fc.array(spec, { maxLength: 4 }),
    there: fc.array(spec, { maxLength: 4 }),
    subjects: fc.array(literal, { minLength: 1, maxLength: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(shape, async ({ here, there, subjects }) => {
      const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
      const sides = [here, there].map((specs) => {
        const buses = busesOf(nats)
        const router = routerOn(buses)
        const recorders = specs.map((one) => new Recorder(one))
        for (const recorder of recorders) router.listen(recorder)
        return { buses, router, recorders }
      })
      const [first, second] = sides
      assert.ok(first && second)
      for (const [index, subject] of subjects.entries()) publish(first.router, subject, `${index}`)
      for (const { buses } of sides) {
        await buses.publishes.flush()
        await buses.streams.flush()
      }
      const expected = await natsDelivers([...here, ...there], subjects)
      const recorders = [...first.recorders, ...second.recorders]
      for (const index of subjects.keys()) {
        const value = `${index}`
        assert.deepEqual(byGroup(copies(recorders, value)), byGroup(copies(expected, value)))
      }
      for (const { buses } of sides) {
        await Promise.all([buses.streams.close(), buses.publishes.close()])
      }
    }),
    { numRuns: RUNS },
  )
})

test('routes follow listeners that come and go, and a version tells', async () => {
  const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
  const buses = busesOf(nats)
  const router = routerOn(buses)
  const first = new Recorder({ subject: 'a.*', group: '' })
  const second = new Recorder({ subject: 'a.b', group: 'g' })
  assert.deepEqual(router.routeOf('a.b').local, [])
  const { version } = router
  const unlisten = router.listen(first)
  assert.notEqual(router.version, version)
  assert.deepEqual(router.routeOf('a.b').local, [first])
  const unlistenSecond = router.listen(second)
  assert.ok(router.routeOf('a.b').grouped)
  unlistenSecond()
  unlisten()
  const after = router.routeOf('a.b')
  assert.deepEqual([after.local, after.grouped], [[], false])
  publish(router, 'a.b', 'nobody')
  await buses.streams.flush()
  assert.deepEqual([...first.values, ...second.values], [])
  await Promise.all([buses.streams.close(), buses.publishes.close()])
})

test('however many subjects are published to, a bounded number is remembered', async () => {
  const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
  const buses = busesOf(nats)
  const router = routerOn(buses)
  const all = new Recorder({ subject: '>', group: '' })
  router.listen(all)
  const first = router.routeOf('s.0')
  assert.equal(router.routeOf('s.0'), first)
  for (let index = 1; index < 10_000; index++) router.routeOf(`s.${index}`)
  assert.notEqual(router.routeOf('s.0'), first, 'the first one was forgotten')
  assert.deepEqual(router.routeOf('s.0').local, [all])
  await Promise.all([buses.streams.close(), buses.publishes.close()])
})
