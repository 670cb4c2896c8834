/** Whatever happens to the servers, in any order: what was acknowledged to AckPolicy ALL stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import fc from 'fast-check'
import { Collector, type Answer } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf, valuesOf } from './stored-records.suite.ts'

const RUNS = Number(process.env['REPLICATION_RUNS'] ?? 25)
const IDS = ['a', 'b', 'c']

const server = fc.constantFrom(...IDS)
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 20, 200, 900, 3_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'power' as const), id: server }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('boot' as const), id: server }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('blackout' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), from: server, to: server }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deafen' as const), id: server }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hear' as const), id: server }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('elect' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('full' as const, 'stalled' as const),
      id: server,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('lose' as const),
      percent: fc.constantFrom(0, 10, 40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delay' as const), ms: fc.constantFrom(0, 5, 100) }),
  },
)
type Happening = typeof happening extends fc.Arbitrary<infer One> ? One : never

/** A cluster, what happens to it, and what its clients were told. */
class World {
  readonly cluster: TestCluster
  readonly #cuts = new Set<string>()
  readonly #stalls = new Map<string, () => void>()
  readonly #values = new Map<string, string>()
  /** By offset: values whose publish with AckPolicy ALL was acknowledged. */
  readonly #acked = new Map<number, string>()
  readonly #sinks: Collector[] = []
  /** Who sent records in an epoch [E1]. */
  readonly #senders = new Map<number, string>()
  #next = 0
  #draws = 0
  #losePercent = 0

  constructor(cluster: TestCluster) {
    this.cluster = cluster
    cluster.nats.isCut = (from, to) => this.#cuts.has(`${from}>${to}`)
    cluster.nats.tamper = (message, from) => {
      if (message.data[7] === 3 && message.data.length > 40) {
        const at = message.data[5] ?? 0
        const epoch = Number(
          new DataView(message.data.buffer).getBigUint64(message.data.byteOffset + at),
        )
        const sender = this.#senders.get(epoch) ?? from
        assert.equal(sender, from, `two leaders in epoch ${epoch}`)
        this.#senders.set(epoch, from)
      }
      return this.#draw() * 100 < this.#losePercent ? undefined : message
    }
  }

  async meet(event: Happening): Promise<void> {
    const { cluster } = this
    switch (event.kind) {
      case 'publish':
        for (let count = 0; count < event.count; count++) this.#publish()
        await cluster.clock.pass(0)
        break
      case 'pass':
        await cluster.clock.pass(event.ms)
        break
      case 'kill':
      case 'power':
        if (cluster.on(event.id).alive)
          cluster.kill(event.id, event.kind === 'kill' ? 'process' : 'power')
        break
      case 'blackout':
        for (const id of IDS) if (cluster.on(id).alive) cluster.kill(id, 'power')
        break
      case 'boot':
        await this.#boot(event.id)
        break
      case 'cut':
        this.#cuts.add(`${event.from}>${event.to}`)
        break
      case 'heal':
        this.#healNetwork()
        break
      case 'deafen':
        cluster.deaf.add(event.id)
        break
      case 'hear':
        cluster.hearAgain(event.id)
        break
      case 'elect':
        this.#elect(event.which)
        break
      case 'full':
        cluster.diskOf(event.id).fault = (operation, path) =>
          operation === 'write' && path.endsWith('.log')
            ? new DiskError('no-space', path, 'full')
            : undefined
        break
      case 'stalled':
        this.#stall(event.id)
        break
      case 'lose':
        this.#losePercent = event.percent
        break
      case 'delay':
        cluster.nats.delayMs = event.ms === 0 ? () => 0 : () => Math.floor(this.#draw() * event.ms)
        break
      default:
        event satisfies never
    }
    this.#noteAnswers()
    await this.#check()
  }

  /** All faults end; everything must come back, and nothing may be missing. */
  async recover(): Promise<void> {
    const { cluster } = this
    this.#losePercent = 0
    cluster.nats.delayMs = () => 0
    this.#healNetwork()
    for (const id of IDS) {
      cluster.diskOf(id).fault = () => undefined
      this.#stalls.get(id)?.()
      cluster.hearAgain(id)
      await this.#boot(id)
    }
    const led = (): boolean => cluster.on(cluster.meta.leader).partition?.role === 'leader'
    assert.ok(await cluster.clock.until(led, 60_000, 50), cluster.describe())
    // A leader alone with its uncommitted records waits for min ISR.
    await cluster.converge(60_000)
    await cluster.write('last')
    await cluster.converge()
    this.#noteAnswers()
    const values = await valuesOf(cluster.leader.log)
    for (const [offset, value] of this.#acked) {
      assert.equal(values[offset], value, `offset ${offset} was acknowledged`)
    }
    const records = await recordsOf(cluster.leader.log)
    for (const { log } of cluster.followers) assert.deepEqual(await recordsOf(log), records)
    assert.deepEqual(
      cluster.fences.filter((text) => !text.includes('sync')),
      [],
    )
  }

  get acknowledged(): number {
    return this.#acked.size
  }

  #publish(): void {
    const process = this.cluster.on(this.cluster.meta.leader)
    if (!process.alive || process.partition === undefined) return
    const value = `v${this.#next++}`
    this.#values.set(value, value)
    const sink = new Collector()
    this.#sinks.push(sink)
    this.cluster.publish(
      process,
      { value: Buffer.from(value), correlationId: value, ackPolicy: 1 },
      sink,
    )
  }

  #noteAnswers(): void {
    for (const { answers } of this.#sinks) for (const answer of answers) this.#note(answer)
  }

  #note({ id, offset, error }: Answer): void {
    if (error !== 0) return
    const before = this.#acked.get(offset)
    assert.ok(before === undefined || before === id, `offset ${offset} was ${before}, then ${id}`)
    this.#acked.set(offset, id)
  }

  /** Committed records are the same everywhere, at all times [R2], and nothing is committed twice. */
  async #check(): Promise<void> {
    let longest: Buffer[] = []
    for (const id of IDS) {
      const { alive, partition } = this.cluster.on(id)
      if (!alive || partition?.log.state !== 'open') continue
      const { log } = partition
      assert.ok(log.highWatermark <= log.newestOffset, 'R3')
      const records = await recordsOf(log, 'committed')
      const common = Math.min(records.length, longest.length)
      for (let at = 0; at < common; at++) {
        assert.ok(records[at]?.equals(longest[at] as Buffer), `record ${at} differs on ${id} [R2]`)
      }
      if (records.length > longest.length) longest = records
    }
  }

  async #boot(id: string): Promise<void> {
    if (this.cluster.on(id).alive) return
    this.#stalls.get(id)?.()
    await this.cluster.boot(id)
    this.cluster.catchUp(id)
  }

  #elect(which: number): void {
    const { isr } = this.cluster.meta
    const leader = isr[which % isr.length]
    if (leader !== undefined) this.cluster.changeLeader(leader)
  }

  #stall(id: string): void {
    this.#stalls.get(id)?.()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.cluster.diskOf(id).holdsSync = (path) => (path.endsWith('.log') ? promise : undefined)
    this.#stalls.set(id, () => {
      this.cluster.diskOf(id).holdsSync = () => undefined
      resolve()
    })
  }

  #healNetwork(): void {
    this.#cuts.clear()
  }

  /** A number from 0 to 1 that depends on nothing but how many were drawn. */
  #draw(): number {
    let mixed = Math.imul(++this.#draws, 0x9e37_79b1)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b)
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32
  }
}

test('no order of crashes, cuts, elections and full disks loses or changes what was acknowledged [D1, D2, R1, R2, E1, L1]', async () => {
  let acknowledged = 0
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 20, maxLength: 60 }), async (events) => {
      const world = new World(await TestCluster.start({ ids: IDS }))
      for (const event of events) await world.meet(event)
      await world.recover()
      acknowledged += world.acknowledged
    }),
    { numRuns: RUNS, endOnFailure: process.env['CI'] !== undefined },
  )
  // Chance decides how many; this only shows that the runs do not pass for want of messages.
  assert.ok(acknowledged > RUNS, `${acknowledged} acknowledged`)
})
