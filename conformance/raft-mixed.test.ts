/*
 * One Raft group of two servers of ours and a voter made of hashicorp/raft: each kind leads, each
 * follows, and all apply the same entries. Skipped where Go or its modules are missing.
 *
 *     node --conditions=source --test conformance/raft-mixed.test.ts
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import { ClusterSubjects } from '@liftbridge/wire'
import { EmbeddedBus } from '../packages/server/src/adapters/embedded-bus.ts'
import { createNodeDisk } from '../packages/server/src/adapters/node-disk.ts'
import { createSystemClock } from '../packages/server/src/adapters/system-clock.ts'
import { createSystemRandom } from '../packages/server/src/adapters/system-random.ts'
import { silentLogger } from '../packages/server/src/logging/logger.ts'
import type { StateMachine } from '../packages/server/src/metadata/consensus.ts'
import { openRaft } from '../packages/server/src/raft/open-raft.ts'
import type { RaftConsensus } from '../packages/server/src/raft/raft-consensus.ts'
import { goProgram, GoPeer } from './raft-go-peer.ts'

const IDS = ['go', 'ts1', 'ts2'] as const

type Applied = { readonly index: number; readonly data: string }

/** Keeps what is applied, and nothing else. */
class Applications implements StateMachine<number> {
  readonly applied: Applied[] = []

  apply(index: number, entry: Uint8Array): number {
    this.applied.push({ index, data: Buffer.from(entry).toString() })
    return index
  }

  snapshot(): Uint8Array {
    return new Uint8Array()
  }

  whyUnreadable(): undefined {
    return undefined
  }

  restore(): void {
    throw new Error('no snapshot was taken')
  }
}

type Voter = { readonly consensus: RaftConsensus<number>; readonly machine: Applications }

/** Two voters of ours and one of Go, on one NATS. */
class MixedGroup {
  readonly go: GoPeer
  readonly voters: readonly Voter[]

  private constructor(go: GoPeer, voters: readonly Voter[]) {
    this.go = go
    this.voters = voters
  }

  static async start(t: TestContext, path: string): Promise<MixedGroup> {
    const folder = mkdtempSync(join(tmpdir(), 'raft-mixed-'))
    const nats = new NatsServer({ port: -1 })
    await nats.listen()
    const buses: EmbeddedBus[] = []
    const voters: Voter[] = []
    for (const serverId of ['ts1', 'ts2']) {
      const bus = new EmbeddedBus(nats, { name: serverId, echo: false })
      buses.push(bus)
      const consensus = await openRaft<number>({
        disk: createNodeDisk(),
        directory: join(folder, serverId),
        bus,
        subjects: new ClusterSubjects('mixed'),
        clock: createSystemClock(),
        random: createSystemRandom(),
        serverId,
        settings: {
          bootstrapSeed: false,
          bootstrapPeers: IDS,
          maxQuorumSize: 0,
          snapshotRetain: 2,
          snapshotThreshold: 8192,
        },
        logger: silentLogger,
      })
      voters.push({ consensus, machine: new Applications() })
    }
    const go = new GoPeer(path, ['node', nats.url, 'mixed', 'go', ...IDS])
    t.after(async () => {
      await go.stop()
      for (const { consensus } of voters) await consensus.close()
      for (const bus of buses) await bus.close()
      await nats.close()
      rmSync(folder, { recursive: true, force: true })
    })
    await Promise.all(voters.map(({ consensus, machine }) => consensus.start(machine)))
    await go.until('ready')
    return new MixedGroup(go, voters)
  }

  /** Who leads now: a voter of ours, or Go; undefined while nobody does. */
  get leader(): Voter | 'go' | undefined {
    const ours = this.voters.find(({ consensus }) => consensus.leadership.kind === 'here')
    if (ours !== undefined) return ours
    // The last word of a voter that leads, or stopped leading.
    return (this.go.of('leads') as unknown[]).at(-1) === true ? 'go' : undefined
  }

  async propose(data: string): Promise<void> {
    const leader = await this.someLeader()
    if (leader !== 'go') {
      await leader.consensus.propose(Buffer.from(data))
      return
    }
    const before = this.go.of('proposed').length
    this.go.tell(data)
    await this.go.until('proposed', before + 1)
    assert.deepEqual(this.go.of('proposed').at(-1), '<nil>')
  }

  async someLeader(): Promise<Voter | 'go'> {
    for (;;) {
      const { leader } = this
      if (leader !== undefined) return leader
      await turn()
    }
  }

  /** Lets another voter lead. */
  async handOver(): Promise<void> {
    const leader = await this.someLeader()
    if (leader === 'go') this.go.tell('transfer')
    else await leader.consensus.handOver()
    while (this.leader === leader) await turn()
  }

  appliedByGo(): Applied[] {
    return this.go.of('applied').map(({ index, data }) => ({ index, data }) as Applied)
  }
}

/** The pause of a loop that polls. */
async function turn(): Promise<void> {
  // What is waited for happens in another process, which tells nobody.
  await new Promise((resolve) => setTimeout(resolve, 10))
}

test('two servers of ours and hashicorp/raft are one group', { timeout: 120_000 }, async (t) => {
  const path = await goProgram(t)
  if (path === undefined) return
  const group = await MixedGroup.start(t, path)
  const led = new Set<'go' | 'ts'>()
  const sent: string[] = []
  // Whoever is caught up furthest takes over, so it may take a few times until each kind has led.
  for (let round = 0; round < 30 && (led.size < 2 || round < 4); round++) {
    const leader = await group.someLeader()
    led.add(leader === 'go' ? 'go' : 'ts')
    for (let each = 0; each < 10; each++) {
      const data = `round ${round}, operation ${each}`
      await group.propose(data)
      sent.push(data)
    }
    await group.handOver()
  }
  assert.deepEqual([...led].toSorted(), ['go', 'ts'])
  await group.propose('last')
  sent.push('last')

  await t.test('each applied the same entries at the same indexes', async () => {
    const [first, second] = group.voters.map(({ machine }) => machine.applied)
    while (
      first?.length !== sent.length ||
      second?.length !== sent.length ||
      group.appliedByGo().length !== sent.length
    ) {
      await turn()
    }
    assert.deepEqual(
      first.map(({ data }) => data),
      sent,
    )
    assert.deepEqual(second, first)
    assert.deepEqual(group.appliedByGo(), first)
  })

  await t.test('the servers of ours go on when the Go voter has gone', async () => {
    await group.go.stop()
    const stopped = group.go.of('leads').length
    for (let each = 0; each < 5; each++) {
      // Only ours can lead from here on.
      let leader = group.voters.find(({ consensus }) => consensus.leadership.kind === 'here')
      while (leader === undefined) {
        await turn()
        leader = group.voters.find(({ consensus }) => consensus.leadership.kind === 'here')
      }
      await leader.consensus.propose(Buffer.from(`alone ${each}`))
    }
    assert.equal(group.go.of('leads').length, stopped)
    const [first, second] = group.voters.map(({ machine }) => machine.applied)
    while (second?.length !== first?.length || first?.length !== sent.length + 5) await turn()
    assert.deepEqual(second, first)
  })
})
