import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers, overlap } from '../routing/subject.ts'
import { Permissions } from './permissions.ts'

const token = fc.constantFrom('a', 'b', '*')
const subject = fc
  .tuple(fc.array(token, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open ? ['>'] : [])].join('.'))

/** Every literal of one to four tokens. */
const LITERALS = ['a', 'b', 'x'].flatMap((one) => [
  one,
  ...['a', 'b', 'x'].flatMap((two) => [
    `${one}.${two}`,
    ...['a', 'b', 'x'].flatMap((three) => [`${one}.${two}.${three}`, `${one}.${two}.${three}.a`]),
  ]),
])

function reached(pattern: string): readonly string[] {
  return LITERALS.filter((literal) => covers(pattern, literal))
}

test('one subject covers another when it reaches all that the other does', () => {
  fc.assert(
    fc.property(subject, subject, (pattern, other) => {
      const wide = new Set(reached(pattern))
      assert.equal(
        covers(pattern, other),
        reached(other).every((literal) => wide.has(literal)),
      )
    }),
  )
})

test('two subjects overlap when something reaches both', () => {
  fc.assert(
    fc.property(subject, subject, (one, other) => {
      const wide = new Set(reached(one))
      assert.equal(
        overlap(one, other),
        reached(other).some((literal) => wide.has(literal)),
      )
    }),
  )
})

test('subjects outside ASCII are compared as NATS sends them', () => {
  const permissions = new Permissions({ publish: { allow: ['é.*'] } })
  assert.ok(permissions.mayPublish('\xc3\xa9.a'))
  assert.ok(!permissions.mayPublish('e.a'))
})

test('what may be answered is bounded, the oldest is forgotten', () => {
  const permissions = new Permissions({ responses: { maxMessages: -1, expiresMs: -1 } })
  for (let i = 0; i < 10_000; i++) permissions.noteReply(`r.${i}`, performance.now())
  assert.ok(!permissions.mayPublish('r.0'))
  assert.ok(permissions.mayPublish('r.9999'))
  assert.ok(permissions.mayPublish('r.9999'))
})

test('what was remembered about publishing is the same when asked again', () => {
  const permissions = new Permissions({ publish: { allow: ['a.>'], deny: ['a.x'] } })
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 1000; i++) assert.ok(permissions.mayPublish(`a.${i}`))
    assert.ok(!permissions.mayPublish('a.x'))
    assert.ok(!permissions.mayPublish('b'))
  }
})
