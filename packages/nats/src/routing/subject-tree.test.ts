import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SubjectTree, type SubjectMatch } from './subject-tree.ts'

test('what a subject reaches is read off its tokens', () => {
  const tree = new SubjectTree<string>()
  for (const subject of ['a', 'a.b', 'a.*', 'a.>', '>', '*', '*.b', 'a.*.c', 'a.b.c']) {
    tree.add(subject, '', subject)
  }
  const reached = (subject: string): readonly string[] => [...tree.match(subject).plain].sort()
  assert.deepEqual(reached('a'), ['*', '>', 'a'])
  assert.deepEqual(reached('a.b'), ['*.b', '>', 'a.*', 'a.>', 'a.b'])
  assert.deepEqual(reached('a.x.c'), ['>', 'a.*.c', 'a.>'])
  assert.deepEqual(reached('x'), ['*', '>'])
  assert.deepEqual(reached('a..b'), [])
  assert.deepEqual(reached(''), [])
})

test('members of a queue group are one list, also over different subjects', () => {
  const tree = new SubjectTree<number>()
  tree.add('a.b', 'q', 1)
  tree.add('a.*', 'q', 2)
  tree.add('a.b', 'other', 3)
  const { plain, queues } = tree.match('a.b')
  assert.deepEqual(plain, [])
  assert.deepEqual(
    queues.map((group) => new Set(group)),
    [new Set([1, 2]), new Set([3])],
  )
})

test('an answer in use does not change when subscriptions do', () => {
  const tree = new SubjectTree<number>()
  tree.add('a', '', 1)
  const before = tree.match('a')
  tree.add('a', '', 2)
  tree.remove('a', '', 1)
  assert.deepEqual(before.plain, [1])
  assert.deepEqual(tree.match('a').plain, [2])
})

test('a tree that was emptied holds nothing', () => {
  const tree = new SubjectTree<number>()
  const subjects = ['a.b.c', 'a.*', 'a.>', '*', 'x.*.>']
  for (const subject of subjects) tree.add(subject, 'q', 1)
  for (const subject of subjects) assert.equal(tree.remove(subject, 'q', 1), true)
  assert.equal(tree.remove('a.b.c', 'q', 1), false)
  assert.equal(tree.size, 0)
  assert.equal(tree.isBare, true)
})

const token = fc.constantFrom('a', 'b', '')
const literal = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'))
const pattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([tokens, rest]) => (rest ? [...tokens, '>'] : tokens).join('.'))
const command = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    subject: pattern,
    queue: fc.constantFrom('', 'q', 'r'),
    value: fc.nat(3),
  }),
  fc.record({
    kind: fc.constant('remove' as const),
    subject: pattern,
    queue: fc.constantFrom('', 'q', 'r'),
    value: fc.nat(3),
  }),
  fc.record({ kind: fc.constant('match' as const), subject: literal }),
)

test('the tree agrees with comparing token by token, through any changes', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const tree = new SubjectTree<string>()
      const twin = new Map<string, Entry>()
      for (const one of commands) {
        if (one.kind === 'match') {
          assert.deepEqual(sorted(tree.match(one.subject)), naive(twin, one.subject))
          continue
        }
        const value = `${one.subject} ${one.queue} ${one.value}`
        if (one.kind === 'add') {
          tree.add(one.subject, one.queue, value)
          twin.set(value, one)
        } else {
          assert.equal(tree.remove(one.subject, one.queue, value), twin.delete(value))
        }
        assert.equal(tree.size, twin.size)
      }
    }),
    { numRuns: Number(process.env['NATS_PROPERTY_RUNS'] ?? 2000) },
  )
})

interface Entry {
  readonly subject: string
  readonly queue: string
}

function naive(twin: ReadonlyMap<string, Entry>, subject: string): unknown {
  const plain: string[] = []
  const queues = new Map<string, string[]>()
  for (const [value, entry] of twin) {
    if (!matches(entry.subject.split('.'), subject.split('.'))) continue
    if (entry.queue === '') plain.push(value)
    else queues.set(entry.queue, [...(queues.get(entry.queue) ?? []), value].toSorted())
  }
  return { plain: plain.toSorted(), queues: [...queues.values()].map(String).toSorted() }
}

function sorted(match: SubjectMatch<string>): unknown {
  return {
    plain: match.plain.toSorted(),
    queues: match.queues.map((group) => String(group.toSorted())).toSorted(),
  }
}

function matches(wanted: readonly string[], tokens: readonly string[]): boolean {
  if (tokens.includes('')) return false
  for (const [i, one] of wanted.entries()) {
    if (one === '>') return tokens.length > i
    if (tokens[i] === undefined || (one !== '*' && one !== tokens[i])) return false
  }
  return tokens.length === wanted.length
}
