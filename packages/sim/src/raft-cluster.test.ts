import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConsensusError } from '../../server/src/metadata/consensus.ts'
import { RaftWorld } from './raft-world.suite.ts'

const PEERS = { settings: { bootstrapPeers: ['a', 'b', 'c'] } }
const SEED = { settings: { bootstrapSeed: true } }

const group = async (
  seed: number,
  ids: readonly string[] = ['a', 'b', 'c'],
): Promise<RaftWorld> => {
  const world = new RaftWorld(seed)
  await world.startAll(ids, { settings: { bootstrapPeers: ids } })
  return world
}

const proposeMany = async (world: RaftWorld, id: string, count: number, name = 'entry') => {
  const { consensus } = world.get(id)
  const texts = Array.from({ length: count }, (_, i) => `${name} ${i}`)
  await world.until(Promise.all(texts.map((text) => consensus.propose(Buffer.from(text)))))
  return texts
}

describe('one server over Raft', () => {
  it('leads itself at once and answers after the disk has it', async () => {
    const world = new RaftWorld(1)
    const { consensus } = await world.start('a', SEED)
    const startedUs = world.scheduler.nowUs
    await world.leader()
    assert.ok(world.scheduler.nowUs - startedUs < 50_000, 'no waiting for an election')
    const answers = await world.until(
      Promise.all(['x', 'y', 'z'].map((text) => consensus.propose(Buffer.from(text)))),
    )
    assert.deepEqual(answers, ['3 x', '4 y', '5 z'])
    world.kill('a')
    const again = await world.start('a')
    await world.leader()
    assert.deepEqual(again.ledger.texts, ['x', 'y', 'z'])
    await world.propose('a', 'w')
    await world.until(again.consensus.barrier())
    assert.deepEqual(again.ledger.texts, ['x', 'y', 'z', 'w'])
  })

  it('shares one sync among the proposals of one turn', async () => {
    const world = new RaftWorld(2)
    await world.start('a', SEED)
    await world.leader()
    await proposeMany(world, 'a', 1)
    let syncs = 0
    world.disk('a').onOperation = ({ kind, path }) => {
      if (kind === 'sync' && path.endsWith('.log')) syncs += 1
      return undefined
    }
    await proposeMany(world, 'a', 200)
    assert.equal(syncs, 1)
  })

  it('is fenced by a failed sync: it answers nobody, and says why [D7, scenario 17]', async () => {
    const world = new RaftWorld(3)
    const { consensus, ledger } = await world.start('a', SEED)
    await world.leader()
    await world.propose('a', 'before')
    world.disk('a').onOperation = ({ kind, path }) =>
      kind === 'sync' && path.endsWith('.log')
        ? { kind: 'lose-unsynced', afterwards: 'lie' }
        : undefined
    await assert.rejects(world.propose('a', 'lost'), isCode('failed'))
    assert.match(consensus.failure ?? '', /fault|sync/)
    assert.equal(consensus.leadership.kind, 'unknown')
    await assert.rejects(world.propose('a', 'after'), isCode('failed'))
    assert.deepEqual(ledger.texts, ['before'])
  })

  it('takes snapshots, drops what they cover, and starts from them', async () => {
    const world = new RaftWorld(4)
    const options = { settings: { bootstrapSeed: true, snapshotThreshold: 50 } }
    await world.start('a', options)
    await world.leader()
    const texts: string[] = []
    for (let round = 0; round < 6; round++) {
      texts.push(...(await proposeMany(world, 'a', 40, `round ${round}`)))
      await world.pass(2_500)
    }
    const status = world.get('a').consensus.status
    assert.ok((status?.snapshotIndex ?? 0) > 100, 'a snapshot was taken')
    assert.ok((status?.firstIndex ?? 0) > 50, 'what it covers is gone')
    world.kill('a')
    const { ledger } = await world.start('a', options)
    assert.equal(ledger.restored, 1)
    await world.leader()
    assert.deepEqual(ledger.texts, texts)
  })
})

describe('three servers over Raft', () => {
  it('elect one leader that all know, and agree', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const world = await group(seed)
      const leader = await world.leader()
      await proposeMany(world, leader, 20)
      assert.equal((await world.agree()).length, 20)
    }
  })

  it('a follower refuses and names the leader', async () => {
    const world = await group(1)
    const leader = await world.leader()
    const other = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    await assert.rejects(world.propose(other, 'x'), (error: unknown) => {
      assert.ok(error instanceof ConsensusError && error.code === 'not-leader')
      assert.ok(error.message.endsWith(`; ${leader} is`))
      return true
    })
  })

  it('keep what was answered when the leader dies, and it comes back as a follower [M6]', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const world = await group(seed)
      const first = await world.leader()
      const texts = await proposeMany(world, first, 30)
      world.kill(first)
      const second = await world.leader()
      assert.notEqual(second, first)
      texts.push(...(await proposeMany(world, second, 30, 'second')))
      await world.start(first, PEERS)
      await world.agree()
      assert.deepEqual(world.get(first).ledger.texts, texts)
    }
  })

  const loseAllPower = async (omission?: 'sync'): Promise<void> => {
    const world = new RaftWorld(7)
    const options = { ...PEERS, ...(omission && { omission }) }
    await world.startAll(['a', 'b', 'c'], options)
    const texts = await proposeMany(world, await world.leader(), 100)
    for (const id of ['a', 'b', 'c']) world.cutPower(id)
    await world.startAll(['a', 'b', 'c'], PEERS)
    await world.leader()
    await world.agree()
    assert.deepEqual(world.get('a').ledger.texts, texts)
  }

  it('survive that all lose their power at once [scenario 8]', () => loseAllPower())

  it('would not without the sync before the answer', async () => {
    await assert.rejects(loseAllPower('sync'))
  })

  it('hand leadership over before a server leaves, much faster than by an election', async () => {
    const world = await group(3)
    const leader = await world.leader()
    await proposeMany(world, leader, 5)
    const { consensus } = world.get(leader)
    await world.until(consensus.handOver())
    const startUs = world.scheduler.nowUs
    const next = await world.leader()
    assert.notEqual(next, leader)
    assert.ok(world.scheduler.nowUs - startUs < 500_000)
    await world.stop(leader)
    await proposeMany(world, next, 5)
  })

  it('an isolated leader gives up its place, and what it could not commit was not answered', async () => {
    const world = await group(5)
    const old = await world.leader()
    const heal = world.isolate(old)
    const lost = world.get(old).consensus.propose(Buffer.from('lost'))
    lost.catch(() => {})
    await world.untilTrue(() => world.get(old).consensus.leadership.kind !== 'here')
    await assert.rejects(world.until(lost), isCode('failed'))
    const others = ['a', 'b', 'c'].filter((id) => id !== old)
    const leads = (id: string): boolean => world.get(id).consensus.leadership.kind === 'here'
    await world.untilTrue(() => others.some(leads))
    await proposeMany(world, others.find(leads) ?? '', 3, 'kept')
    heal()
    await world.leader()
    await world.agree()
    assert.deepEqual(world.get(old).ledger.texts, ['kept 0', 'kept 1', 'kept 2'])
  })

  it('go on when the sync of one fails, and it stays silent', async () => {
    const world = await group(6)
    const leader = await world.leader()
    const broken = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    world.disk(broken).onOperation = ({ kind }) =>
      kind === 'sync' ? { kind: 'fail', code: 'io' } : undefined
    await proposeMany(world, leader, 10)
    await world.untilTrue(() => world.get(broken).consensus.failure !== undefined)
    await proposeMany(world, leader, 10, 'later')
    assert.equal(world.get(leader).ledger.texts.length, 20)
  })

  it('a barrier sees everything that was committed before it', async () => {
    const world = await group(8)
    const leader = await world.leader()
    await proposeMany(world, leader, 10)
    await world.until(world.get(leader).consensus.barrier())
    assert.equal(world.get(leader).ledger.texts.length, 10)
    const follower = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    await world.until(world.get(follower).consensus.barrier())
  })

  it('tell who is silent', async () => {
    const world = await group(9)
    const leader = await world.leader()
    const dead = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    world.kill(dead)
    await world.pass(5_000)
    const { consensus } = world.get(leader)
    assert.ok((consensus.silenceMs(dead) ?? 0) > 4_000)
    assert.equal(consensus.silenceMs(leader), 0)
    const other = ['a', 'b', 'c'].find((id) => id !== leader && id !== dead) ?? ''
    assert.ok((consensus.silenceMs(other) ?? 1_000) < 500)
    assert.equal(consensus.silenceMs('nobody'), undefined)
  })

  it('bring a server that was away too long up to date by a snapshot', async () => {
    const world = new RaftWorld(11)
    const options = { settings: { bootstrapPeers: ['a', 'b', 'c'], snapshotThreshold: 20 } }
    await world.startAll(['a', 'b', 'c'], options)
    const leader = await world.leader()
    const late = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    world.kill(late)
    for (let round = 0; round < 5; round++) {
      await proposeMany(world, leader, 30, `round ${round}`)
      await world.pass(2_500)
    }
    const { ledger } = await world.start(late, options)
    await world.agree()
    assert.equal(ledger.restored, 1)
    assert.equal(ledger.texts.length, 150)
    // And it keeps it.
    world.kill(late)
    const again = await world.start(late, options)
    assert.equal(again.ledger.restored, 1)
    await world.leader()
    await world.agree()
    assert.equal(again.ledger.texts.length, 150)
  })
})

const isCode =
  (code: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ConsensusError, String(error))
    assert.equal(error.code, code)
    return true
  }
