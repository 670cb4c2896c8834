/** What a PublishAsync call must not do to others, and how it finds its partitions. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { encodeFrames, Metadata as CallMetadata } from '@liftbridge/grpc'
import type { MessageChunk, ResponseStream, ServerCall } from '@liftbridge/grpc'
import { DiskError } from '@liftbridge/log'
import { NatsServer } from '@liftbridge/nats'
import { api, ClusterSubjects, create, fromBinary, toBinary } from '@liftbridge/wire'
import { EmbeddedBus } from '../adapters/embedded-bus.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { createSystemRandom } from '../adapters/system-random.ts'
import type { Clock } from '../clock.ts'
import { silentLogger } from '../logging/logger.ts'
import { NatsAcks } from '../partition/nats-acks.ts'
import { openPartition, type OpenPartition } from '../partition/partition-fixture.suite.ts'
import type { Partition } from '../partition/partition.ts'
import { SubjectRouter } from '../partition/subject-router.ts'
import type { ApiContext } from './context.ts'
import { PublishSession } from './publish-session.ts'
import { giveSlab, takeSlab } from './slabs.ts'

/** One stream of one partition; what runs of it can be changed behind the session's back. */
class Fixture {
  readonly context: ApiContext
  readonly router: SubjectRouter
  readonly opened: OpenPartition
  running: Partition | undefined
  /** The turn of the event loop ends when a test says so. */
  readonly #turnEnds: (() => void)[] = []
  readonly streams: EmbeddedBus
  /** Set: what the session sends through NATS waits in it. */
  onTheWay: (() => void)[] | undefined
  readonly stream = {
    name: 'orders',
    subject: 'orders',
    incarnation: 1,
    config: {},
    partitions: [{ id: 0, leader: 'here', paused: false, readonly: false }],
  }
  readonly state = { streams: new Map([['orders', this.stream]]), appliedIndex: 1 }

  constructor(t: TestContext, opened: OpenPartition) {
    const nats = new NatsServer({ host: '127.0.0.1', port: 0 })
    const streams = new EmbeddedBus(nats, { name: 'streams', echo: false })
    const publishes = new EmbeddedBus(nats, { name: 'publishes', echo: true })
    t.after(() => Promise.all([streams.close(), publishes.close()]))
    const publish = publishes.publish.bind(publishes)
    publishes.publish = (subject, data, reply) => {
      if (this.onTheWay) this.onTheWay.push(() => publish(subject, data, reply))
      else publish(subject, data, reply)
    }
    const natsAcks = new NatsAcks({ bus: publishes, namespace: 'lift', logger: silentLogger })
    this.opened = opened
    this.streams = streams
    this.running = opened.partition
    this.router = new SubjectRouter({ streams, publishes, natsAcks })
    const { state } = this
    const context = {
      serverId: 'here',
      clock: this.#clock(),
      random: createSystemRandom(),
      logger: silentLogger,
      metadata: { state },
      partitions: { get: () => this.running },
      router: this.router,
      publishes,
      subjects: new ClusterSubjects('lift'),
      natsAcks,
      stopping: new AbortController().signal,
    }
    this.context = context as unknown as ApiContext
  }

  /** What was on its way through NATS arrives. */
  arrive(): void {
    const { onTheWay } = this
    this.onTheWay = undefined
    for (const publish of onTheWay ?? []) publish()
  }

  /** The metadata says so from now on. */
  ledBy(serverId: string): void {
    for (const partition of this.stream.partitions) partition.leader = serverId
    this.state.appliedIndex++
  }

  endTurn(): void {
    for (const callback of this.#turnEnds.splice(0)) callback()
  }

  #clock(): Clock {
    const clock = createSystemClock()
    return {
      wallNs: () => clock.wallNs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (ms, callback) => clock.after(ms, callback),
      soon: (callback) => this.#turnEnds.push(callback),
    }
  }
}

/** A call whose requests a test hands over one chunk at a time. */
class Call {
  readonly answers: api.PublishResponse[] = []
  readonly ended: Promise<void>
  readonly #abort = new AbortController()
  #give: ((chunk: IteratorResult<MessageChunk, undefined>) => void) | undefined
  #wake: (() => void) | undefined

  constructor(context: ApiContext) {
    const responses: ResponseStream = {
      sendHeaders: () => undefined,
      write: (frames, sent) => {
        for (let at = 0; at < frames.length;) {
          const size = Buffer.from(frames).readUInt32BE(at + 1)
          this.answers.push(
            fromBinary(api.PublishResponseSchema, frames.slice(at + 5, at + 5 + size)),
          )
          at += 5 + size
        }
        sent?.()
        this.#wake?.()
        return true
      },
      drained: () => Promise.resolve(),
      backlogBytes: 0,
    }
    const call: ServerCall = {
      path: '/proto.API/PublishAsync',
      signal: this.#abort.signal,
      metadata: new CallMetadata(),
      responseMetadata: new CallMetadata(),
      trailers: new CallMetadata(),
      deadlineMs: undefined,
      remainingMs: undefined,
      peer: { address: '127.0.0.1', port: 1, encrypted: false, certificate: undefined },
      compressResponses: false,
    }
    const requests: AsyncIterable<MessageChunk> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise((resolve) => (this.#give = resolve)),
      }),
    }
    this.ended = new PublishSession(context, call, responses).run(requests)
  }

  /** Hands over the messages in one chunk. */
  async send(...correlationIds: readonly string[]): Promise<void> {
    await this.asked()
    const messages = correlationIds.map((correlationId) =>
      toBinary(
        api.PublishRequestSchema,
        create(api.PublishRequestSchema, { stream: 'orders', correlationId, expectedOffset: -1n }),
      ),
    )
    const bytes = encodeFrames(messages)
    const ends: number[] = []
    for (const message of messages) ends.push((ends.at(-1) ?? 0) + 5 + message.length)
    const starts = ends.map((end, index) => end - (messages[index]?.length ?? 0))
    const give = this.#give
    this.#give = undefined
    give?.({ done: false, value: { bytes, starts, ends, count: messages.length } })
  }

  /** Resolves when the session wants the next chunk: it is done with the one before. */
  async asked(): Promise<void> {
    while (!this.#give) await new Promise((resolve) => setImmediate(resolve))
  }

  async answered(count: number): Promise<void> {
    while (this.answers.length < count) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** The client takes the call back. */
  async cancel(): Promise<void> {
    this.#abort.abort()
    await this.asked()
    this.#give?.({ done: true, value: undefined })
    await this.ended
  }
}

test('acks that come after a call has ended touch no buffer of others', async (t) => {
  const opened = await openPartition(t, { syncPolicy: 'always' })
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  const call = new Call(fixture.context)
  await call.send('first')
  await call.answered(1)
  const gate = opened.disk.closeGate()
  await call.send('late')
  await gate.reached
  await call.cancel()
  // The buffers of the call belong to whoever takes them next.
  const slabs = Array.from({ length: 8 }, () => takeSlab().fill(0xaa))
  gate.open()
  await opened.partition.end()
  assert.equal(opened.log.syncedOffset, 1)
  for (const slab of slabs) assert.ok(slab.every((byte) => byte === 0xaa))
  for (const slab of slabs) giveSlab(slab)
  assert.equal(call.answers.length, 1)
})

test('a partition that comes up without any change of metadata is found by calls that met it down', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  fixture.running = undefined
  const call = new Call(fixture.context)
  await call.send('down')
  await call.answered(1)
  assert.equal(call.answers[0]?.asyncError?.code, api.PublishAsyncError_Code.INTERNAL)
  fixture.running = opened.partition
  await call.send('up')
  await call.answered(2)
  assert.equal(call.answers[1]?.asyncError, undefined)
  await call.cancel()
})

test('messages do not overtake those of their call that are on their way through NATS', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  // Led elsewhere, as far as this server knows, and then here.
  fixture.running = undefined
  fixture.ledBy('elsewhere')
  fixture.onTheWay = []
  const call = new Call(fixture.context)
  await call.send('far', 'away')
  await call.asked()
  fixture.running = opened.partition
  fixture.ledBy('here')
  await call.send('near')
  await call.asked()
  fixture.endTurn()
  fixture.arrive()
  await call.answered(3)
  const order = call.answers.map(({ correlationId, ack }) => [correlationId, ack?.offset])
  assert.deepEqual(order, [
    ['far', 0n],
    ['away', 1n],
    ['near', 2n],
  ])
  await call.send('straight')
  await call.answered(4)
  assert.equal(call.answers[3]?.ack?.offset, 3n)
  await call.cancel()
})

test('what still runs of a deleted stream takes nothing for the stream that was made again', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  fixture.stream.incarnation = 2
  const call = new Call(fixture.context)
  await call.send('for the new one')
  await call.answered(1)
  assert.notEqual(call.answers[0]?.asyncError, undefined)
  assert.equal(opened.log.newestOffset, -1)
  await call.cancel()
})

test('what one turn brings is written together; a lone message is not held', async (t) => {
  const opened = await openPartition(t, { batch: { maxMessages: 100, maxTimeMs: 0 } })
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  const call = new Call(fixture.context)
  await call.send('alone')
  await call.answered(1)
  assert.equal(opened.disk.writes.length, 1)
  for (const chunk of ['a', 'b', 'c']) {
    await call.send(...Array.from({ length: 10 }, (_, index) => `${chunk}${index}`))
  }
  await call.asked()
  assert.equal(opened.log.newestOffset, 0)
  fixture.endTurn()
  await call.answered(31)
  assert.equal(opened.disk.writes.length, 2)
  assert.equal(opened.log.newestOffset, 30)
  await call.cancel()
})

test('messages of a call that ends before the turn does are written', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  const call = new Call(fixture.context)
  await call.send(...Array.from({ length: 10 }, (_, index) => `last ${index}`))
  await call.cancel()
  fixture.endTurn()
  await opened.partition.end()
  assert.equal(opened.log.newestOffset, 9)
})

test('a publisher is not read while NATS does not take what is forwarded', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  let pendingBytes = 1 << 30
  t.mock.getter(fixture.streams, 'pendingBytes', () => pendingBytes)
  const relieved = Promise.withResolvers<void>()
  const drained = t.mock.method(fixture.streams, 'drained', () => relieved.promise)
  const call = new Call(fixture.context)
  await call.send('one')
  await call.answered(1)
  const second = call.send('two')
  while (drained.mock.callCount() === 0) await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(call.answers.length, 1)
  pendingBytes = 0
  relieved.resolve()
  await second
  await call.answered(2)
  await call.cancel()
})

test('messages that wait when their partition becomes readonly are told so; the partition stays', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  const call = new Call(fixture.context)
  await call.send(...Array.from({ length: 6 }, (_, index) => `waiting ${index}`))
  await call.asked()
  opened.log.setReadonly(true)
  fixture.endTurn()
  await call.answered(6)
  for (const { asyncError } of call.answers) {
    assert.equal(asyncError?.code, api.PublishAsyncError_Code.READONLY)
    assert.equal(asyncError?.message, 'readonly partition: 0')
  }
  assert.equal(opened.partition.fenced, false)
  await call.cancel()
})

test('a full disk is told to the publisher by its name', async (t) => {
  const opened = await openPartition(t)
  const fixture = new Fixture(t, opened)
  t.after(fixture.router.listen(opened.partition))
  opened.disk.failWrites(new DiskError('no-space', '/log', 'ENOSPC'))
  const call = new Call(fixture.context)
  await call.send('too much')
  await call.answered(1)
  const { asyncError } = call.answers[0] ?? {}
  assert.equal(asyncError?.code, api.PublishAsyncError_Code.INTERNAL)
  assert.equal(asyncError?.message, 'no space left on the disk of the server')
  opened.disk.failWrites(undefined)
  await call.send('fits')
  await call.answered(2)
  assert.equal(call.answers[1]?.asyncError, undefined)
  await call.cancel()
})
