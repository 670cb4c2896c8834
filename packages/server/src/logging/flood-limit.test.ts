import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FloodLimit } from './flood-limit.ts'

test('the keys remembered are bounded: the one begun longest ago makes room', () => {
  const limit = new FloodLimit()
  for (let i = 0; i < 6; i++) limit.admit('first', 0)
  assert.equal(limit.admit('first', 0).kind, 'drop')
  for (let i = 0; i < 1023; i++) limit.admit(`other ${i}`, 1)
  assert.equal(limit.admit('first', 1).kind, 'drop')
  limit.admit('one more', 1)
  assert.deepEqual(limit.admit('first', 1), { kind: 'pass', suppressed: 0 })
})
