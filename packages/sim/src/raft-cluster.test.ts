import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RaftWorld } from './raft-world.suite.ts'

const THREE = { settings: { bootstrapPeers: ['a', 'b', 'c'] } }

const threeServers = async (seed: number): Promise<RaftWorld> => {
  const world = new RaftWorld(seed)
  for (const id of ['a', 'b', 'c']) await world.start(id, THREE)
  return world
}

describe('one server', () => {
  it('leads itself at once and answers after the disk has it', async () => {
    const world = new RaftWorld(1)
    const { consensus } = await world.start('a', { settings: { bootstrapSeed: true } })
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
})

describe('three servers', () => {
  it('elect one leader that all know, and agree', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const world = await threeServers(seed)
      const leader = await world.leader()
      for (const text of ['one', 'two', 'three']) await world.propose(leader, text)
      const lines = await world.agree()
      assert.equal(lines.length, 3)
    }
  })
})
