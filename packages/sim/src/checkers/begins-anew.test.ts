import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beganAnewAmong } from './begins-anew.ts'

const replica = (name: string, partition: string, oldestOffset: number) => {
  return { machine: { name }, partition, running: { log: { oldestOffset } } }
}
const FIELDS = { stream: 'a', partition: 0, leader: 's0', to: 5 }

test('a server that copies while it starts is known by the partition that its leader runs', () => {
  const running = [
    replica('s0', 'a/1 of incarnation 3', 0),
    replica('s0', 'a/0 of incarnation 3', 7),
  ]
  assert.deepEqual(beganAnewAmong(running, 's1', FIELDS), {
    server: 's1',
    partition: 'a/0 of incarnation 3',
    to: 5,
    leaderOldest: 7,
  })
})

test('a leader of another incarnation is no witness', () => {
  const running = [
    replica('s0', 'a/0 of incarnation 3', 0),
    replica('s1', 'a/0 of incarnation 9', 0),
  ]
  const { partition, leaderOldest } = beganAnewAmong(running, 's1', FIELDS)
  assert.equal(partition, 'a/0 of incarnation 9')
  assert.equal(leaderOldest, Infinity)
})
