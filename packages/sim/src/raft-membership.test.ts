import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClusterSubjects, encodeClusterMessage } from '@liftbridge/wire'
import type { Logger } from '../../server/src/logging/logger.ts'
import { silentLogger } from '../../server/src/logging/logger.ts'
import { decodeJoinAnswer, encodeJoinRequest } from '../../server/src/raft/join-messages.ts'
import { RaftWorld } from './raft-world.suite.ts'

const SEED = { settings: { bootstrapSeed: true } }
const SUBJECTS = new ClusterSubjects('test')

const voters = (world: RaftWorld, id: string): string[] =>
  world
    .get(id)
    .consensus.members.filter(({ voter }) => voter)
    .map((member) => member.id)

const proposeMany = async (world: RaftWorld, id: string, count: number, name = 'entry') => {
  const { consensus } = world.get(id)
  const texts = Array.from({ length: count }, (_, i) => `${name} ${i}`)
  await world.until(Promise.all(texts.map((text) => consensus.propose(Buffer.from(text)))))
}

const isWhole = (world: RaftWorld, id: string): boolean =>
  world.get(id).consensus.notice === undefined

/** A logger that keeps what it is told, as `level text`. */
const listeningLogger = (): { readonly lines: string[]; readonly logger: Logger } => {
  const lines: string[] = []
  const logger: Logger = {
    ...silentLogger,
    info: (text) => lines.push(`info ${text}`),
    warn: (text) => lines.push(`warn ${text}`),
    error: (text) => lines.push(`error ${text}`),
    limited: (_key, level, text) => lines.push(`${level} ${text}`),
  }
  return { lines, logger }
}

describe('servers that join', () => {
  it('are taken in by the seed, get everything and vote', async () => {
    const world = new RaftWorld(1)
    await world.start('a', SEED)
    await world.leader()
    await proposeMany(world, 'a', 50)
    for (const id of ['b', 'c']) await world.start(id)
    await world.untilTrue(() => ['b', 'c'].every((id) => isWhole(world, id)))
    assert.deepEqual(voters(world, 'a'), ['a', 'b', 'c'])
    assert.equal((await world.agree()).length, 50)
    world.kill('a')
    const next = await world.leader()
    await proposeMany(world, next, 5, 'without the seed')
  })

  it('wait as long as it takes, and say what for', async () => {
    const world = new RaftWorld(2)
    const { lines, logger } = listeningLogger()
    await world.start('b', { logger })
    await world.pass(120_000)
    const { notice } = world.get('b').consensus
    assert.match(notice ?? '', /not a member of a cluster yet: no answer on test\.raft\.metadata/)
    assert.match(notice ?? '', /--raft-bootstrap-seed/)
    const told = lines.filter((line) => line.startsWith('warn not a member'))
    assert.ok(told.length > 5 && told.length < 40, `${told.length} lines in two minutes`)
    await world.start('a', SEED)
    await world.untilTrue(() => isWhole(world, 'b'))
    assert.deepEqual(voters(world, 'b'), ['a', 'b'])
  })

  it('get what is only left in a snapshot', async () => {
    const world = new RaftWorld(3)
    await world.start('a', { settings: { bootstrapSeed: true, snapshotThreshold: 20 } })
    await world.leader()
    for (let round = 0; round < 4; round++) {
      await proposeMany(world, 'a', 30, `round ${round}`)
      await world.pass(2_500)
    }
    await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    assert.equal(world.get('b').ledger.restored, 1)
    assert.equal((await world.agree()).length, 120)
  })

  it('all at once: one change at a time, and voters up to the quorum’s size [M10]', async () => {
    const world = new RaftWorld(4)
    await world.start('a', { settings: { bootstrapSeed: true, maxQuorumSize: 3 } })
    await world.leader()
    const others = ['b', 'c', 'd', 'e']
    for (const id of others) await world.start(id, { settings: { maxQuorumSize: 3 } })
    await world.untilTrue(() => others.every((id) => isWhole(world, id)))
    const { members } = world.get('a').consensus
    assert.equal(members.length, 5)
    assert.equal(members.filter(({ voter }) => voter).length, 3)
    await proposeMany(world, 'a', 10)
    assert.equal((await world.agree()).length, 10)
  })

  it('a member does not ask again when it restarts [LB 2.2]', async () => {
    const world = new RaftWorld(5)
    await world.start('a', SEED)
    await world.leader()
    await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    world.kill('b')
    let asked = 0
    world.nats.tap(({ subject }) => {
      if (subject === SUBJECTS.raftJoin) asked += 1
    })
    await world.start('b')
    await world.leader()
    await world.pass(5_000)
    assert.equal(asked, 0)
  })

  it('requests that nobody understands are dropped, and strange ids are not taken in [B2]', async () => {
    const world = new RaftWorld(6)
    await world.start('a', SEED)
    await world.leader()
    const { bus } = await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    const envelope = [0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0]
    const requests = [
      [],
      [1, 2, 3],
      [...envelope, 4],
      [...envelope, 4, 0x0a, 3, 0x61, 0x2e, 0x62, 0x12, 3, 0x61, 0x2e, 0x62],
      [...envelope, 4, 0x0a, 1, 0x78, 0x12, 1, 0x79],
      [...envelope, 4, 0x0a, 0xff],
    ]
    for (const bytes of requests) {
      const asked = bus.request(SUBJECTS.raftJoin, Uint8Array.from(bytes), 500)
      await assert.rejects(world.until(asked))
    }
    assert.deepEqual(voters(world, 'a'), ['a', 'b'])
    await proposeMany(world, 'a', 3)
  })

  it('who does not answer calls of Raft is not taken in, whoever asks in its name [B2]', async () => {
    const world = new RaftWorld(7)
    await world.start('a', SEED)
    await world.leader()
    const { bus } = await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    const members = world.get('a').consensus.members.length
    for (const id of ['x', 'y', 'z']) {
      for (const stage of ['joining', 'whole'] as const) {
        const request = encodeJoinRequest(id, stage)
        const { data } = await world.until(bus.request(SUBJECTS.raftJoin, request, 5_000))
        assert.equal(decodeJoinAnswer(data).kind, 'refused')
      }
      const asGo = encodeClusterMessage('RaftJoinRequest', { nodeID: id, nodeAddr: id })
      const { data } = await world.until(bus.request(SUBJECTS.raftJoin, asGo, 5_000))
      assert.equal(decodeJoinAnswer(data).kind, 'refused')
    }
    assert.equal(world.get('a').consensus.members.length, members)
    await proposeMany(world, 'a', 3)
  })
})

describe('a voter that lost its disk [M10]', () => {
  it('does not vote before it has everything again, so nothing committed is lost', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const world = new RaftWorld(seed)
      const peers = { settings: { bootstrapPeers: ['a', 'b', 'c'] } }
      await world.startAll(['a', 'b', 'c'], peers)
      const leader = await world.leader()
      const [late = '', wiped = ''] = ['a', 'b', 'c'].filter((id) => id !== leader)
      const heal = world.isolate(late)
      await proposeMany(world, leader, 10, 'committed')
      // Only two have it: the leader, which goes, and one that loses its disk.
      world.kill(leader)
      world.wipe(wiped)
      await world.start(wiped)
      heal()
      await world.pass(20_000)
      for (const id of [late, wiped]) {
        assert.notEqual(world.get(id).consensus.leadership.kind, 'here', `seed ${seed}`)
      }
      await world.start(leader, peers)
      await world.untilTrue(() => isWhole(world, wiped))
      await world.leader()
      assert.equal((await world.agree()).length, 10)
      // Whole again, it counts: another one may go.
      world.kill(leader)
      await proposeMany(world, await world.leader(), 3, 'later')
    }
  })

  it('comes back as a member although it still has the flags of its first start', async () => {
    const world = new RaftWorld(30)
    const peers = { settings: { bootstrapPeers: ['a', 'b', 'c'] } }
    await world.startAll(['a', 'b', 'c'], peers)
    const leader = await world.leader()
    await proposeMany(world, leader, 10)
    const wiped = ['a', 'b', 'c'].find((id) => id !== leader) ?? ''
    world.wipe(wiped)
    await world.start(wiped, peers)
    assert.match(world.get(wiped).consensus.notice ?? '', /taken into the cluster/)
    await world.untilTrue(() => isWhole(world, wiped))
    assert.equal((await world.agree()).length, 10)
  })

  it('does not found its cluster anew while the others have no leader', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const world = new RaftWorld(`refound ${seed}`)
      await world.start('a', SEED)
      await world.leader()
      for (const id of ['b', 'c']) await world.start(id)
      await world.untilTrue(() => ['b', 'c'].every((id) => isWhole(world, id)))
      await proposeMany(world, 'a', 10)
      await world.agree()
      world.wipe('a')
      await world.start('a', SEED)
      await world.pass(100)
      // In a cluster of its own it would take this at once, for nothing.
      await assert.rejects(world.propose('a', 'stray'))
      await world.leader()
      await world.untilTrue(() => isWhole(world, 'a'))
      assert.equal((await world.agree()).length, 10)
      assert.deepEqual(voters(world, 'a'), ['a', 'b', 'c'])
    }
  })

  it('goes on joining when it restarts on the way', async () => {
    const world = new RaftWorld(20)
    await world.start('a', SEED)
    await world.leader()
    await proposeMany(world, 'a', 20)
    const heal = world.isolate('b')
    const starting = world.start('b').catch(() => undefined)
    heal()
    await starting
    for (let i = 0; i < 5; i++) {
      world.kill('b')
      await world.start('b')
      await world.pass(3)
    }
    await world.untilTrue(() => isWhole(world, 'b'))
    assert.equal((await world.agree()).length, 20)
  })
})

describe('a new cluster', () => {
  it('by peers: all store the same first entry, in whatever order they are named [D-21]', async () => {
    const world = new RaftWorld(1)
    const ids = ['d', 'b', 'a', 'c']
    await Promise.all(
      ids.map((id, i) => {
        const bootstrapPeers = [...ids.slice(i), ...ids.slice(0, i)]
        return world.start(id, { settings: { bootstrapPeers, maxQuorumSize: 3 } })
      }),
    )
    const leader = await world.leader()
    await proposeMany(world, leader, 5)
    await world.untilTrue(() => ids.every((id) => isWhole(world, id)))
    await world.agree()
    for (const id of ids) assert.deepEqual(voters(world, id), ['a', 'b', 'c'])
    assert.ok(world.get('d').ledger.texts.length === 5)
  })

  it('is founded after all when a crash interrupted it anywhere', async () => {
    for (let operation = 1; operation <= 50; operation++) {
      const world = new RaftWorld(`founding ${operation}`)
      const disk = world.disk('a')
      let left = operation
      // The machine as it is at this moment: what was written is there, nothing more comes.
      disk.onOperation = () => {
        if (--left === 0) world.disks.set('a', disk.fork())
        return undefined
      }
      await world.start('a', SEED)
      await world.leader()
      disk.onOperation = undefined
      world.get('a').process.kill()
      world.running.delete('a')
      assert.ok(left <= 0, `there are only ${operation + left} operations`)
      await world.start('a', SEED)
      await world.leader()
      await proposeMany(world, 'a', 1)
    }
  })

  it('by a seed that comes after those who wait for it', async () => {
    const world = new RaftWorld(5)
    const { lines, logger } = listeningLogger()
    for (const id of ['b', 'c']) await world.start(id)
    await world.pass(3_000)
    await world.start('a', { ...SEED, logger })
    assert.ok(lines.some((line) => line.includes('without raft.bootstrap.seed from now on')))
    await world.untilTrue(() => ['a', 'b', 'c'].every((id) => isWhole(world, id)))
    assert.deepEqual(voters(world, 'a').toSorted(), ['a', 'b', 'c'])
  })

  it('is not made again by a server that has been in one, whatever its flags say', async () => {
    const world = new RaftWorld(2)
    await world.start('a', SEED)
    await world.leader()
    await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    await proposeMany(world, 'a', 5)
    world.kill('b')
    await world.start('b', SEED)
    await world.leader()
    assert.equal((await world.agree()).length, 5)
    assert.deepEqual(voters(world, 'b'), ['a', 'b'])
  })

  it('a server that waited can still be made the seed', async () => {
    const world = new RaftWorld(3)
    await world.start('a')
    await world.pass(3_000)
    world.kill('a')
    await world.start('a', SEED)
    await world.leader()
    await proposeMany(world, 'a', 1)
  })
})

describe('two seeds of one namespace', () => {
  it('the second one joins the cluster that is there', async () => {
    const world = new RaftWorld(3)
    await world.start('a', SEED)
    await world.leader()
    await world.start('x', SEED)
    await world.untilTrue(() => isWhole(world, 'x'))
    assert.deepEqual(voters(world, 'a'), ['a', 'x'])
    await world.pass(30_000)
    assert.equal(world.get('a').consensus.notice, undefined)
  })

  it('tell the operator of each other and go on [LB 2.2, D-15]', async () => {
    const world = new RaftWorld(1)
    const { lines, logger } = listeningLogger()
    await world.start('a', SEED)
    world.kill('a')
    await world.start('x', SEED)
    await world.start('a', { ...SEED, logger })
    await world.pass(12_000)
    const { consensus } = world.get('a')
    assert.match(consensus.notice ?? '', /server x was also started with raft\.bootstrap\.seed/)
    assert.match(world.get('x').consensus.notice ?? '', /server a was also started/)
    assert.ok(lines.some((line) => line.startsWith('error server x was also started')))
    await proposeMany(world, 'a', 3)
    world.kill('x')
    await world.pass(45_000)
    assert.equal(consensus.notice, undefined)
  })

  it('no forged message ends a seed or costs it more than a line [G10, B2]', async () => {
    const world = new RaftWorld(2)
    const { lines, logger } = listeningLogger()
    await world.start('a', { ...SEED, logger })
    await world.leader()
    const { bus } = await world.start('b')
    await world.untilTrue(() => isWhole(world, 'b'))
    for (const subject of [SUBJECTS.raftBootstrap, SUBJECTS.raftBootstrapReply]) {
      for (const text of [
        '',
        'a',
        'b',
        'evil server',
        'x'.repeat(5_000),
        '\u0000',
        '..',
        'forged',
      ]) {
        bus.publish(subject, Buffer.from(text))
      }
    }
    await world.pass(1_000)
    await proposeMany(world, 'a', 3)
    const told = lines.filter((line) => line.includes('also started'))
    assert.equal(new Set(told).size, 1)
    assert.match(told[0] ?? '', /server forged/)
  })
})
