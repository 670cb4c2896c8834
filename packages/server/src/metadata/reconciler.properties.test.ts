import assert from 'node:assert/strict'
import test from 'node:test'
import {
  applyOperation,
  MetadataState,
  type Operation,
  type StreamIdentity,
} from '@liftbridge/metadata'
import fc from 'fast-check'
import type { Clock, Timer } from '../clock.ts'
import type { PartitionHost, WantedPartition } from './partition-host.ts'
import { Reconciler } from './reconciler.ts'
import type { StreamDataDirectories } from './stream-work.ts'

/** One thing that happens: an operation, the end of the oldest call under way, or time. */
type Event =
  | {
      readonly kind: 'create' | 'delete' | 'pause' | 'resume' | 'lead' | 'fence'
      readonly stream: string
    }
  | { readonly kind: 'finish'; readonly which: number; readonly fails: boolean }
  | { readonly kind: 'wait'; readonly ms: number }

const names = fc.constantFrom('foo', 'bar')
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      'create' as const,
      'delete' as const,
      'pause' as const,
      'resume' as const,
      'lead' as const,
      'fence' as const,
    ),
    stream: names,
  }),
  fc.record({ kind: fc.constant('finish' as const), which: fc.nat(), fails: fc.boolean() }),
  fc.record({ kind: fc.constant('finish' as const), which: fc.nat(), fails: fc.constant(false) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 100, 1000, 30_000) }),
)

/**
 * A world in which every call ends only when the script says so, in any order, well or badly, and
 * which checks what must never happen on the way.
 */
class World implements PartitionHost, StreamDataDirectories, Clock {
  readonly state = new MetadataState()
  /** Incarnation whose data stands in each stream's directory. */
  readonly stored = new Map<string, number>()
  readonly open_ = new Map<string, WantedPartition>()
  readonly deleted = new Set<number>()
  #calls: ((fails: boolean) => void)[] = []
  readonly #busy = new Set<string>()
  #now = 0
  #timers: { at: number; callback: () => void }[] = []

  get calls(): number {
    return this.#calls.length
  }

  get timers(): number {
    return this.#timers.length
  }

  finish(which: number, fails: boolean): void {
    const [call] = this.#calls.splice(which % Math.max(this.#calls.length, 1), 1)
    call?.(fails)
  }

  wallNs = (): bigint => 0n
  monotonicMs = (): number => this.#now

  after(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer)
      timer.callback()
    }
  }

  async open(wanted: WantedPartition): Promise<void> {
    await this.#call(wanted.directory, () => {
      assert.equal(this.open_.get(wanted.directory), undefined, 'opened twice')
      const stored = this.stored.get(wanted.stream.name)
      assert.equal(stored, wanted.stream.incarnation, 'opened on data of another incarnation')
      this.open_.set(wanted.directory, wanted)
    })
  }

  async update(wanted: WantedPartition): Promise<void> {
    await this.#call(wanted.directory, () => {
      const running = this.open_.get(wanted.directory)
      assert.equal(running?.stream.incarnation, wanted.stream.incarnation, 'updated another')
      this.open_.set(wanted.directory, wanted)
    })
  }

  supersede(running: WantedPartition): void {
    const wanted = this.state.streams.get(running.stream.name)?.partitions[running.partition.id]
    const { leaderEpoch } = running.partition
    assert.ok(wanted && leaderEpoch < wanted.leaderEpoch, 'superseded by nothing newer')
  }

  async close(running: WantedPartition): Promise<void> {
    await this.#call(running.directory, () => this.open_.delete(running.directory))
  }

  partitionPath(stream: string, partition: number): string {
    return `${stream}/${partition}`
  }

  async claim({ name, incarnation }: StreamIdentity): Promise<void> {
    await this.#call(`claim ${name}`, () => {
      const stored = this.stored.get(name)
      assert.ok(stored === undefined || stored === incarnation, 'claimed over undeleted data')
      this.stored.set(name, incarnation)
    })
  }

  async remove({ name, incarnation }: StreamIdentity): Promise<boolean> {
    assert.ok(this.deleted.has(incarnation), 'removed without a deletion')
    return this.#call(`remove ${name}`, () => {
      for (const { stream } of this.open_.values()) {
        assert.ok(stream.incarnation !== incarnation, 'removed while open')
      }
      return this.stored.get(name) === incarnation && this.stored.delete(name)
    })
  }

  tidy(): Promise<void> {
    return Promise.resolve()
  }

  /** Calls about one thing never overlap. */
  #call<Result>(about: string, effect: () => Result): Promise<Result> {
    assert.ok(!this.#busy.has(about), `overlapping calls: ${about}`)
    this.#busy.add(about)
    return new Promise((resolve, reject) => {
      this.#calls.push((fails) => {
        this.#busy.delete(about)
        if (fails) reject(new Error('scripted failure'))
        else resolve(effect())
      })
    })
  }
}

const operationOf = (kind: string, stream: string, state: MetadataState): Operation | undefined => {
  const at = { stream, partitions: [0], timestampNs: 1n }
  switch (kind) {
    case 'delete':
      return { kind: 'delete-stream', stream }
    case 'pause':
      return { kind: 'pause-stream', ...at, resumeAll: false }
    case 'resume':
      return { kind: 'resume-stream', ...at }
    case 'lead': {
      const leader = state.streams.get(stream)?.partitions[1]?.leader === 'a' ? 'b' : 'a'
      return { kind: 'change-leader', stream, partition: 1, leader, partitionEpoch: 0 }
    }
    default: {
      const [replicas, config] = [['a', 'b'], {}]
      const partition = { replicas, isr: replicas, leader: 'a' }
      const partitions = [0, 1].map((id) => ({ id, ...partition }))
      const rest = { subject: 's', group: '', replicationFactor: 2, creationTimestampNs: 1n }
      return { kind: 'create-stream', stream: { name: stream, ...rest, config, partitions } }
    }
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 25; i += 1) await Promise.resolve()
}

/** What should be open once everything has come to rest. */
const wantedNow = (state: MetadataState): string[] =>
  [...state.streams.values()].flatMap(({ name, incarnation, partitions }) =>
    partitions
      .filter(({ paused }) => !paused)
      .map(
        ({ id, leader }) =>
          `${name}/${id}@${incarnation} ${leader === 'a' ? 'leader' : 'follower'}`,
      ),
  )

test('whatever happens in whatever order, what runs becomes what is wanted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60, size: 'max' }), async (events) => {
      const world = new World()
      const reconciler = new Reconciler({
        serverId: 'a',
        state: world.state,
        host: world,
        directories: world,
        clock: world,
        report: () => undefined,
      })
      await reconciler.start([])
      const settlements: Promise<unknown>[] = []
      for (const happening of events) {
        if (happening.kind === 'finish') world.finish(happening.which, happening.fails)
        else if (happening.kind === 'wait') world.advance(happening.ms)
        else if (happening.kind === 'fence') reconciler.fenced(happening.stream, 1, 'scripted')
        else {
          const operation = operationOf(happening.kind, happening.stream, world.state)
          assert.ok(operation)
          const outcome = applyOperation(world.state, operation, world.state.appliedIndex + 1)
          if (outcome.kind === 'applied') {
            for (const { incarnation } of outcome.deleted ?? []) world.deleted.add(incarnation)
            reconciler.applied(outcome)
            for (const id of [0, 1]) settlements.push(reconciler.settled(happening.stream, id))
          }
        }
        await turns()
      }
      // From here on nothing fails: it must come to rest, and at the right place.
      for (let i = 0; i < 400 && (world.calls > 0 || world.timers > 0); i += 1) {
        world.finish(0, false)
        await turns()
        if (world.calls === 0) world.advance(30_000)
        await turns()
      }
      assert.equal(world.calls + world.timers, 0)
      // Whoever waited has been told something: else this never ends.
      await Promise.all(settlements)
      const open = [...world.open_].map(
        ([directory, { stream, role }]) => `${directory}@${stream.incarnation} ${role}`,
      )
      assert.deepEqual(open.toSorted(compare), wantedNow(world.state).toSorted(compare))
      for (const incarnation of world.stored.values()) assert.ok(!world.deleted.has(incarnation))
      assert.deepEqual(reconciler.problems(), [])
    }),
    { numRuns: Number(process.env['METADATA_PROPERTY_RUNS'] ?? 150) },
  )
})

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))
