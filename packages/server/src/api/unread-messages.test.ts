import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UnreadMessages, type Reader } from './unread-messages.ts'

test('over the bound the subscription that stood still for the longest is cut', () => {
  const unread = new UnreadMessages(100)
  const cut: string[] = []
  const reader = (name: string): Reader => ({ cut: () => void cut.push(name) })
  const [slow, reading, late] = [reader('slow'), reader('reading'), reader('late')]
  unread.add(reading, 40)
  unread.add(slow, 40)
  unread.sent(reading, 20)
  unread.add(late, 40)
  assert.deepEqual([cut, unread.bytes], [[], 100])
  unread.add(late, 10)
  assert.deepEqual([cut, unread.bytes], [['slow'], 70])
  // What is said of a subscription that was cut changes nothing.
  unread.sent(slow, 40)
  unread.forget(slow)
  assert.equal(unread.bytes, 70)
  unread.add(late, 200)
  assert.deepEqual([cut, unread.bytes], [['slow', 'reading', 'late'], 0])
})

test('the total is never over the bound and is what the subscriptions hold', () => {
  const step = fc.record({
    reader: fc.nat(4),
    kind: fc.constantFrom('add', 'sent', 'forget'),
    bytes: fc.integer({ min: 1, max: 60 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const unread = new UnreadMessages(100)
      const writes: number[][] = [[], [], [], [], []]
      const readers = writes.map((mine) => ({ cut: () => void (mine.length = 0) }))
      for (const { reader: index, kind, bytes } of steps) {
        const [reader, mine] = [readers[index], writes[index]]
        if (reader === undefined || mine === undefined) continue
        if (kind === 'add') {
          mine.push(bytes)
          unread.add(reader, bytes)
        } else if (kind === 'sent') {
          const first = mine.shift()
          if (first !== undefined) unread.sent(reader, first)
        } else {
          mine.length = 0
          unread.forget(reader)
        }
        const held = writes.flat().reduce((sum, one) => sum + one, 0)
        assert.equal(unread.bytes, held)
        assert.ok(held <= 100)
      }
    }),
  )
})
