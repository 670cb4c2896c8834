import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { changed, isVoter, votersOf } from './configuration.ts'
import type { Configuration, MembershipChange } from './index.ts'
import { configurationOf } from './one-core.suite.ts'
import { majority, reachedByMajority } from './quorum.ts'

test('a majority is more than half, and two majorities share a voter', () => {
  for (let voters = 1; voters <= 99; voters += 1) {
    assert.ok(majority(voters) > voters / 2)
    assert.ok(majority(voters) <= voters)
    assert.ok(2 * majority(voters) > voters)
  }
  assert.equal(majority(0), 1)
})

test('a majority has reached what counting one by one finds', () => {
  const indexes = fc.array(fc.nat(12), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(indexes, (reached) => {
      // The plain twin: the largest candidate that more than half have.
      const enough = reached.filter(
        (index) => reached.filter((other) => other >= index).length * 2 > reached.length,
      )
      assert.equal(reachedByMajority(reached), Math.max(...enough))
    }),
  )
  assert.equal(reachedByMajority([]), -Infinity)
})

test('of two configurations one change apart, every two majorities share a voter', () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  const change = fc.record({
    kind: fc.constantFrom('add-voter', 'add-non-voter', 'remove'),
    id: fc.constantFrom(...ids),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let configuration: Configuration = configurationOf('ab')
      for (const { kind, id } of changes) {
        const wanted: MembershipChange =
          kind === 'remove' ? { kind, id } : { kind: kind as 'add-voter', id, address: id }
        const after = changed(configuration, wanted)
        if (after.kind === 'invalid') continue
        assertOverlap(votersOf(configuration), votersOf(after.configuration))
        if (kind === 'add-voter') assert.ok(isVoter(after.configuration, id))
        if (isVoter(configuration, id) && kind === 'add-non-voter') {
          assert.ok(isVoter(after.configuration, id))
        }
        configuration = after.configuration
      }
    }),
  )
})

/** As few as possible of the voters of both are in both majorities: still one. */
function assertOverlap(before: readonly string[], after: readonly string[]): void {
  const shared = before.filter((id) => after.includes(id)).length
  const fromBefore = Math.max(0, majority(before.length) - (before.length - shared))
  const fromAfter = Math.max(0, majority(after.length) - (after.length - shared))
  assert.ok(fromBefore + fromAfter > shared, `${before.join('')} ${after.join('')}`)
}

test('a configuration names nobody twice and keeps a voter', () => {
  const invalid = (change: MembershipChange, voters: string) =>
    changed(configurationOf(voters), change).kind
  assert.equal(invalid({ kind: 'remove', id: 'a' }, 'a'), 'invalid')
  assert.equal(invalid({ kind: 'add-voter', id: 'c', address: 'a' }, 'ab'), 'invalid')
  assert.equal(invalid({ kind: 'add-voter', id: '', address: '' }, 'ab'), 'invalid')
  assert.equal(invalid({ kind: 'remove', id: 'x' }, 'ab'), 'ok')
})
