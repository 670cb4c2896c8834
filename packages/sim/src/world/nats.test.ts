import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSimRandom } from '../random.ts'
import type { Bus } from '@liftbridge/server'
import type { SimBus } from './bus.ts'
import { SimNats, type NatsEvent } from './nats.ts'
import { Network } from './network.ts'
import { SimProcess } from './sim-process.ts'
import { Scheduler } from './scheduler.ts'

class World {
  readonly scheduler = new Scheduler()
  readonly network: Network
  readonly nats: SimNats
  readonly events: NatsEvent[] = []

  constructor(seed = 1) {
    const random = createSimRandom(seed)
    this.network = new Network(random.of('network'))
    this.nats = new SimNats({
      scheduler: this.scheduler,
      random,
      network: this.network,
      onEvent: (event) => this.events.push(event),
      maxPendingBytes: 10_000,
    })
  }

  async bus(host: string, name = host): Promise<{ bus: SimBus; process: SimProcess }> {
    const process = new SimProcess(host, this.scheduler)
    const connecting = this.nats.connect({ process, host, name, echo: false })
    await this.scheduler.run({ untilUs: this.scheduler.nowUs + 1_000_000 })
    return { bus: await connecting, process }
  }

  run(ms: number): Promise<unknown> {
    return this.scheduler.run({ untilUs: this.scheduler.nowUs + ms * 1_000 })
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at))

function collect(bus: Bus, subject: string): string[] {
  const got: string[] = []
  bus.subscribe(subject, ({ data }) => got.push(Buffer.from(data).toString()))
  return got
}

describe('the simulated NATS under faults', () => {
  it('holds what is sent over a blocked way and delivers it, in order, once it opens', async () => {
    const world = new World()
    const [a, b] = [await world.bus('a'), await world.bus('b')]
    const got = collect(b.bus, 'x')
    await world.run(100)
    const open = world.network.stall({ host: 'a', direction: 'to-nats', path: 'all' })
    for (const one of numbers(50)) a.bus.publish('x', bytes(one))
    await world.run(5_000)
    assert.deepEqual(got, [])
    a.bus.publish('x', bytes('last'))
    open()
    await world.run(1_000)
    assert.deepEqual(got, [...numbers(50), 'last'])
  })

  it('breaks a connection whose way stays blocked, and loses what it held', async () => {
    const world = new World()
    const [a, b] = [await world.bus('a'), await world.bus('b')]
    const got = collect(b.bus, 'x')
    await world.run(100)
    const open = world.network.stall({ host: 'b', direction: 'from-nats', path: 'all' })
    a.bus.publish('x', bytes('held'))
    await world.run(30_000)
    assert.equal(b.bus.connected, false)
    open()
    await world.run(5_000)
    assert.equal(b.bus.connected, true)
    a.bus.publish('x', bytes('after'))
    await world.run(1_000)
    assert.deepEqual(got, ['after'])
  })

  it('cuts a slow consumer, which subscribes again when it comes back', async () => {
    const world = new World()
    const [a, b] = [await world.bus('a'), await world.bus('b')]
    const got = collect(b.bus, 'x')
    await world.run(100)
    b.process.stop()
    for (let at = 0; at < 20; at++) a.bus.publish('x', new Uint8Array(1_000))
    await world.run(1_000)
    assert.ok(world.events.some(({ kind }) => kind === 'slow-consumer'))
    b.process.continue()
    await world.run(5_000)
    a.bus.publish('x', bytes('after'))
    await world.run(1_000)
    assert.deepEqual(got, ['after'])
  })

  it('a restart loses what is on the way; a publish meanwhile is refused; requests time out', async () => {
    const world = new World()
    const [a, b] = [await world.bus('a'), await world.bus('b')]
    const got = collect(b.bus, 'x')
    b.bus.subscribe('silent', () => undefined)
    await world.run(100)
    const refused = assert.rejects(a.bus.request('silent', bytes('?'), 3_000), { code: 'timeout' })
    await world.run(10)
    a.bus.publish('x', bytes('lost'))
    await Promise.resolve()
    world.nats.stop()
    await world.run(100)
    assert.throws(() => a.bus.publish('x', bytes('refused')), { code: 'disconnected' })
    world.nats.start()
    await world.run(5_000)
    await refused
    a.bus.publish('x', bytes('after'))
    await world.run(100)
    assert.deepEqual(got, ['after'])
  })

  it('loses and doubles between chosen hosts on the chosen path alone', async () => {
    const world = new World()
    const a = await world.bus('a')
    const [raft, data, other] = [
      await world.bus('b', 'b.raft'),
      await world.bus('b', 'b.data'),
      await world.bus('c', 'c.raft'),
    ]
    const all = [raft, data, other].map(({ bus }) => collect(bus, 'x'))
    await world.run(100)
    const fault = { from: 'a', to: 'b', path: 'raft', duplication: 0, extraDelayMs: 0 } as const
    const end = world.network.disturb({ ...fault, loss: 1 })
    a.bus.publish('x', bytes('1'))
    await world.run(100)
    end()
    world.network.disturb({ ...fault, loss: 0, duplication: 1 })
    a.bus.publish('x', bytes('2'))
    await world.run(100)
    assert.deepEqual(all, [
      ['2', '2'],
      ['1', '2'],
      ['1', '2'],
    ])
  })

  it('delays without reordering what one connection sends, but others overtake it', async () => {
    const world = new World()
    const [a, b, c] = [await world.bus('a'), await world.bus('b'), await world.bus('c')]
    const got = collect(b.bus, 'x')
    await world.run(100)
    const route = { from: 'a', to: '*', path: 'all', loss: 0, duplication: 0 } as const
    const end = world.network.disturb({ ...route, extraDelayMs: 50 })
    for (const one of numbers(200)) a.bus.publish('x', bytes(one))
    await world.run(2)
    end()
    a.bus.publish('x', bytes('late'))
    c.bus.publish('x', bytes('overtakes'))
    await world.run(1_000)
    assert.deepEqual(
      got.filter((one) => one !== 'overtakes'),
      [...numbers(200), 'late'],
    )
    assert.ok(got.indexOf('overtakes') < 200)
  })

  it('brings no copy before the message itself, nor before what was sent earlier', async () => {
    const world = new World()
    const [a, b] = [await world.bus('a'), await world.bus('b')]
    const got = collect(b.bus, 'x')
    await world.run(100)
    const route = { from: 'a', to: '*', path: 'all', loss: 0 } as const
    world.network.disturb({ ...route, duplication: 0.5, extraDelayMs: 50 })
    for (const one of numbers(200)) a.bus.publish('x', bytes(one))
    await world.run(1_000)
    assert.deepEqual([...new Set(got)], numbers(200))
    assert.ok(got.length > 250)
  })

  it('does the same for the same seed', async () => {
    const deliveries = async (seed: number): Promise<string> => {
      const world = new World(seed)
      const [a, b] = [await world.bus('a'), await world.bus('b')]
      const got = collect(b.bus, 'x')
      await world.run(100)
      const route = { from: '*', to: '*', path: 'all' } as const
      world.network.disturb({ ...route, loss: 0.3, duplication: 0.3, extraDelayMs: 50 })
      for (const one of numbers(100)) a.bus.publish('x', bytes(one))
      await world.run(1_000)
      return `${got.join()} ${world.scheduler.executed}`
    }
    assert.equal(await deliveries(7), await deliveries(7))
    assert.notEqual(await deliveries(7), await deliveries(8))
  })
})
