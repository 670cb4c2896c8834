import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClusterSubjects } from '@liftbridge/wire'
import { silentLogger, type Logger } from '../../server/src/logging/logger.ts'
import { Ledger, RaftWorld } from './raft-world.suite.ts'

const IDS = ['a', 'b', 'c']
const PEERS = { settings: { bootstrapPeers: IDS } }

const proposeSome = async (world: RaftWorld, id: string, name: string): Promise<string[]> => {
  const texts = Array.from({ length: 5 }, (_, i) => `${name} ${i}`)
  for (const text of texts) await world.propose(id, text)
  return texts
}

const msSince = (world: RaftWorld, startUs: number): number =>
  (world.scheduler.nowUs - startUs) / 1_000

describe('founders named to each other', () => {
  // The founder used to take one second of silence for a proof that there is no cluster.
  for (const laterMs of [0, 300, 3_000]) {
    it(`one without its disk, ${laterMs} ms before one that was away: nothing answered is lost [M10]`, async () => {
      for (let seed = 0; seed < 4; seed++) {
        const world = new RaftWorld(`founder ${seed}`)
        await world.startAll(IDS, PEERS)
        const leader = await world.leader()
        const [wiped = '', behind = ''] = IDS.filter((id) => id !== leader)
        const texts = await proposeSome(world, leader, 'early')
        await world.agree()
        world.kill(behind)
        texts.push(...(await proposeSome(world, leader, 'acknowledged')))
        world.kill(leader)
        world.wipe(wiped)
        const first = world.start(wiped, PEERS)
        await world.pass(laterMs)
        await world.start(behind, PEERS)
        await first
        await world.pass(20_000)
        for (const id of [wiped, behind]) {
          assert.notEqual(world.get(id).consensus.leadership.kind, 'here', `seed ${seed}`)
        }
        await world.start(leader, PEERS)
        texts.push(...(await proposeSome(world, await world.leader(), 'later')))
        await world.agree()
        for (const id of IDS) assert.deepEqual(world.get(id).ledger.texts, texts, `seed ${seed}`)
      }
    })
  }

  it('all at once have a leader as soon as an election takes', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const world = new RaftWorld(`at once ${seed}`)
      const startUs = world.scheduler.nowUs
      await world.startAll(IDS, PEERS)
      assert.ok(msSince(world, startUs) < 500, `founded after ${msSince(world, startUs)} ms`)
      await world.leader()
    }
  })

  it('two of three found after a second, and the third comes in whenever it starts', async () => {
    for (const laterMs of [0, 700, 1_000, 1_300, 2_000, 30_000]) {
      const world = new RaftWorld(`third ${laterMs}`)
      const startUs = world.scheduler.nowUs
      const two = world.startAll(['a', 'b'], PEERS)
      await world.pass(laterMs)
      const third = world.start('c', PEERS)
      await two
      assert.ok(msSince(world, startUs) < 1_500 + laterMs)
      await third
      await proposeSome(world, await world.leader(), 'entry')
      await world.untilTrue(() => IDS.every((id) => world.get(id).consensus.notice === undefined))
      assert.equal((await world.agree()).length, 5)
    }
  })

  it('one alone founds nothing, and tells what it waits for', async () => {
    const world = new RaftWorld('alone')
    const lines: string[] = []
    const logger: Logger = { ...silentLogger, warn: (text) => lines.push(text) }
    const { consensus, process } = await world.until(world.open<string>('a', { ...PEERS, logger }))
    let outcome = 'waits'
    consensus.start(new Ledger()).then(
      () => (outcome = 'founded'),
      (error: Error) => (outcome = error.message),
    )
    await world.pass(120_000)
    assert.equal(outcome, 'waits')
    assert.match(consensus.notice ?? '', /2 of a, b, c must say .* nothing is heard of b, c/)
    assert.ok(lines.length > 5 && lines.length < 12, `${lines.length} lines in two minutes`)
    await world.until(consensus.close())
    await world.pass(10)
    assert.equal(outcome, 'metadata is closed')
    process.kill()
  })

  it('found after all when one of them is killed at any moment of it', async () => {
    for (let atMs = 0; atMs < 60; atMs += 3) {
      const world = new RaftWorld(`killed ${atMs}`)
      const others = world.startAll(['b', 'c'], PEERS)
      const { consensus, process } = await world.until(world.open<string>('a', PEERS))
      consensus.start(new Ledger()).catch(() => {})
      await world.pass(atMs)
      process.kill()
      world.disk('a').kill()
      await others
      await world.start('a', PEERS)
      await proposeSome(world, await world.leader(), 'entry')
      assert.equal((await world.agree()).length, 5)
    }
  })

  it('nobody else counts as one of them, and nonsense says nothing [B2]', async () => {
    const world = new RaftWorld('forged')
    const first = world.start('a', PEERS)
    const others = ['x', 'y', 'z'].map((id) => ({ id, settings: { bootstrapPeers: ['q'] } }))
    for (const { id, settings } of others) world.start(id, { settings }).catch(() => {})
    const { bus } = await world.until(world.open('w'))
    const inbox = `${new ClusterSubjects('test').raftJoin}.founder.a`
    for (const bytes of [[], [1, 2, 3], [0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0, 4, 0xff]]) {
      bus.publish(inbox, Uint8Array.from(bytes))
    }
    await world.pass(10_000)
    assert.equal(world.running.has('a'), false)
    await world.startAll(['b', 'c'], PEERS)
    await first
    assert.deepEqual(
      world.get('a').consensus.members.map(({ id }) => id),
      IDS,
    )
  })
})
