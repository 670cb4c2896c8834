import assert from 'node:assert/strict'
import {
  applyOperation,
  MetadataState,
  type Operation,
  type StreamIdentity,
} from '@liftbridge/metadata'
import type { Clock, Timer } from '../clock.ts'
import type { PartitionHost, WantedPartition } from './partition-host.ts'
import type { ReconcilerReport } from './reconciler-report.ts'
import { Reconciler } from './reconciler.ts'
import type { StreamDataDirectories } from './stream-work.ts'

/** Time that passes only when told to. */
class ManualClock implements Clock {
  #now = 0
  #timers: { at: number; callback: () => void }[] = []

  wallNs(): bigint {
    return BigInt(this.#now) * 1_000_000n
  }

  monotonicMs(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  get pending(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer)
      timer.callback()
    }
  }
}

/**
 * A host and directories that note every call. A call fails when its line, as it is noted, is in
 * `failing`, and waits while it is in `held`.
 */
class ScriptedHost implements PartitionHost, StreamDataDirectories {
  readonly calls: string[] = []
  readonly failing = new Set<string>()
  readonly open_ = new Map<string, number>()
  #held = new Map<string, { promise: Promise<void>; release: () => void }>()

  hold(line: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    const release = () => {
      this.#held.delete(line)
      resolve()
    }
    this.#held.set(line, { promise, release })
    return release
  }

  async open(wanted: WantedPartition): Promise<void> {
    await this.#call(`open ${nameOf(wanted)}`)
    const key = wanted.directory
    assert.equal(this.open_.get(key), undefined, 'opened twice')
    this.open_.set(key, wanted.stream.incarnation)
  }

  async update(wanted: WantedPartition): Promise<void> {
    await this.#call(`update ${nameOf(wanted)}`)
    assert.equal(this.open_.get(wanted.directory), wanted.stream.incarnation)
  }

  supersede(running: WantedPartition): void {
    this.calls.push(`supersede ${nameOf(running)}`)
  }

  async close(wanted: WantedPartition): Promise<void> {
    await this.#call(`close ${nameOf(wanted)}`)
    this.open_.delete(wanted.directory)
  }

  partitionPath(stream: string, partition: number): string {
    return `/streams/${stream}/${partition}`
  }

  claim(stream: StreamIdentity): Promise<void> {
    return this.#call(`claim ${stream.name}@${stream.incarnation}`)
  }

  async remove(stream: StreamIdentity): Promise<boolean> {
    await this.#call(`remove ${stream.name}@${stream.incarnation}`)
    for (const [directory, incarnation] of this.open_) {
      const inside = directory.startsWith(`/streams/${stream.name}/`)
      assert.ok(!inside || incarnation !== stream.incarnation, 'removed while open')
    }
    return true
  }

  tidy(_: unknown, deleted: readonly StreamIdentity[]): Promise<void> {
    return this.#call(`tidy ${deleted.map(({ name }) => name).join()}`)
  }

  async #call(line: string): Promise<void> {
    this.calls.push(line)
    await this.#held.get(line)?.promise
    if (this.failing.has(line)) throw new Error(`scripted failure of ${line}`)
  }
}

const nameOf = ({ stream, partition, role }: WantedPartition): string =>
  `${stream.name}@${stream.incarnation}/${partition.id} ${role}`

/** Lets everything that can go on without time passing go on. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i += 1) await Promise.resolve()
}

export const scenario = ({ replaying = false } = {}) => {
  const state = new MetadataState()
  const host = new ScriptedHost()
  const clock = new ManualClock()
  const reports: ReconcilerReport[] = []
  const reconciler = new Reconciler({
    serverId: 'a',
    state,
    host,
    directories: host,
    clock,
    report: (report) => reports.push(report),
  })
  const apply = (operation: Operation): void => {
    const outcome = applyOperation(state, operation, state.appliedIndex + 1)
    assert.equal(outcome.kind, 'applied')
    if (outcome.kind === 'applied' && !replaying) reconciler.applied(outcome)
  }
  const create = (name: string, partitions = 1, replicas: readonly string[] = ['a']): void =>
    apply({
      kind: 'create-stream',
      stream: {
        name,
        subject: name,
        group: '',
        replicationFactor: replicas.length,
        config: {},
        creationTimestampNs: 1n,
        partitions: Array.from({ length: partitions }, (_, id) => ({
          id,
          replicas,
          isr: replicas,
          leader: replicas[0] ?? '',
        })),
      },
    })
  const remove = (stream: string): void => apply({ kind: 'delete-stream', stream })
  const pause = (stream: string): void =>
    apply({ kind: 'pause-stream', stream, partitions: [], resumeAll: false, timestampNs: 1n })
  const resume = (stream: string): void =>
    apply({ kind: 'resume-stream', stream, partitions: [0], timestampNs: 1n })
  return { state, host, clock, reports, reconciler, apply, create, remove, pause, resume }
}
