import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digest, type Operation, type Outcome } from '@liftbridge/metadata'
import { createStream } from '../../server/src/metadata/create-stream.suite.ts'
import { Metadata } from '../../server/src/metadata/metadata.ts'
import { RaftStoreUnreadable } from '../../server/src/raft/store/unreadable.ts'
import { RaftWorld, type StartOptions } from './raft-world.suite.ts'

const IDS = ['a', 'b', 'c']
const OPTIONS: StartOptions = { settings: { bootstrapPeers: IDS, snapshotThreshold: 20 } }

class MetadataWorld {
  readonly world: RaftWorld
  readonly servers = new Map<string, Metadata>()
  readonly restored = new Map<string, number>()

  constructor(seed: number) {
    this.world = new RaftWorld(seed)
  }

  async start(id: string): Promise<Metadata> {
    const starting = async (): Promise<Metadata> => {
      const { consensus, process } = await this.world.open<Outcome>(id, OPTIONS)
      const metadata = new Metadata({ consensus })
      metadata.onRestored(() => this.restored.set(id, (this.restored.get(id) ?? 0) + 1))
      await metadata.start()
      process.onEnd(() => this.servers.delete(id))
      this.#kill.set(id, () => process.kill())
      return metadata
    }
    const metadata = await this.world.until(starting())
    this.servers.set(id, metadata)
    return metadata
  }

  readonly #kill = new Map<string, () => void>()

  kill(id: string): void {
    this.#kill.get(id)?.()
    this.world.disk(id).kill()
  }

  async leader(): Promise<Metadata> {
    const found = (): Metadata | undefined =>
      [...this.servers.values()].find(({ leadership }) => leadership.kind === 'here')
    await this.world.untilTrue(() => found() !== undefined)
    return found() ?? assert.fail('no leader')
  }

  async propose(...operations: readonly Operation[]): Promise<void> {
    const leader = await this.leader()
    const outcomes = await this.world.until(
      Promise.all(operations.map((operation) => leader.propose(operation))),
    )
    for (const outcome of outcomes) assert.equal(outcome.kind, 'applied')
  }

  async untilEqual(): Promise<void> {
    const digests = (): Set<string> =>
      new Set([...this.servers.values()].map(({ state }) => digest(state)))
    await this.world.untilTrue(() => digests().size === 1)
  }
}

describe('metadata over Raft', () => {
  it('is the same on all servers, applied live, replayed or from a snapshot [M7, scenario 22]', async () => {
    const cluster = new MetadataWorld(1)
    await Promise.all(IDS.map((id) => cluster.start(id)))
    await cluster.leader()
    const away = IDS.find((id) => cluster.servers.get(id)?.leadership.kind !== 'here') ?? ''
    await cluster.propose(createStream('before'))
    await cluster.untilEqual()
    cluster.kill(away)
    for (let round = 0; round < 6; round++) {
      const names = Array.from({ length: 10 }, (_, i) => `s${round}-${i}`)
      await cluster.propose(...names.map(createStream))
      await cluster.propose(
        ...names.slice(0, 3).map((stream): Operation => ({ kind: 'delete-stream', stream })),
        {
          kind: 'pause-stream',
          stream: `s${round}-5`,
          partitions: [0],
          resumeAll: true,
          timestampNs: 5n,
        },
        {
          kind: 'create-consumer-group',
          group: {
            id: `g${round}`,
            coordinator: 'a',
            members: [{ id: 'm', streams: [`s${round}-6`, 'before'] }],
            epoch: 0,
          },
        },
      )
      await cluster.world.pass(2_500)
    }
    const late = await cluster.start(away)
    await cluster.untilEqual()
    assert.equal(late.state.streams.size, 43)
    assert.equal(cluster.restored.get(away), 1, 'listeners are told to compare everything anew')
    for (const id of IDS) {
      cluster.kill(id)
      await cluster.start(id)
      await cluster.leader()
      await cluster.untilEqual()
    }
    assert.equal(cluster.restored.get(away), 1, 'a start restores before anybody listens')
    assert.equal((await cluster.leader()).state.streams.size, 43)
  })

  it('a snapshot that the metadata cannot read stops the start and is left alone [M9, scenario 11]', async () => {
    const world = new RaftWorld(2)
    const options = { settings: { bootstrapSeed: true, snapshotThreshold: 20 } }
    // Sound as a file, but it holds no metadata.
    await world.start('a', options)
    await world.leader()
    const { consensus } = world.get('a')
    const texts = Array.from({ length: 60 }, () => Buffer.from('not an operation'))
    await world.until(Promise.all(texts.map((text) => consensus.propose(text))))
    await world.pass(5_000)
    world.kill('a')
    const files = world.disk('a').files('/data')
    assert.ok(files.some((path) => path.endsWith('state.bin')))
    const starting = async (): Promise<unknown> => {
      const opened = await world.open<Outcome>('a', options)
      return new Metadata({ consensus: opened.consensus }).start()
    }
    await assert.rejects(world.until(starting()), RaftStoreUnreadable)
    assert.deepEqual(world.disk('a').files('/data'), files)
  })
})
