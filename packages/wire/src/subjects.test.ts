import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  hasWildcard,
  isLiteralSubject,
  isSubject,
  literalSubjectProblem,
  subjectMatches,
  subjectProblem,
  subjectsOverlap,
} from './subject-syntax.ts'
import {
  ClusterSubjects,
  partitionSubject,
  streamSubjectProblem,
  targetSubjectProblem,
} from './subjects.ts'

const namespace = 'liftbridge-default'

test('the inbox of a Raft stream is told from every other subject', () => {
  const subjects = new ClusterSubjects('ns')
  assert.ok(subjects.isRaftStream(subjects.raftStream('s1', 'N')))
  for (const other of [
    subjects.raftAccept('s1'),
    subjects.raftJoin,
    'ns.raft.metadata.s1.request',
    'ns2.raft.metadata.s1.request._INBOX.N',
    'foo',
  ]) {
    assert.equal(subjects.isRaftStream(other), false, other)
  }
})

test('the subjects of a cluster are those of Go Liftbridge', () => {
  const subjects = new ClusterSubjects('ns')
  assert.deepEqual(
    [
      subjects.replicate('a.b', 2),
      subjects.leaderEpochOffset('a.b', 0),
      subjects.notify('s1'),
      subjects.ackInbox('N'),
      subjects.activity,
      subjects.cursors,
      partitionSubject(subjects.cursors, 3),
      subjects.raftAccept('s1'),
      subjects.raftStream('s1', 'N'),
      subjects.raftJoin,
      subjects.raftBootstrap,
      subjects.raftBootstrapReply,
      subjects.propagate,
      subjects.serverInfo,
      subjects.serverInfoInbox('N'),
      subjects.partitionStatus('s1'),
    ],
    [
      'ns.a.b.2.replicate',
      'ns.a.b.0.offset',
      'ns.notify.s1',
      'ns.ack.N',
      'ns.activity',
      'ns.cursors',
      'ns.cursors.3',
      'ns.raft.metadata.s1.accept',
      'ns.raft.metadata.s1.request._INBOX.N',
      'ns.raft.metadata.join',
      'ns.raft.metadata.bootstrap',
      'ns.raft.metadata.bootstrap.reply',
      'ns.raft.metadata.propagate',
      'ns.raft.metadata.info',
      'ns.raft.metadata.fetch.N',
      'ns.raft.metadata.status.s1',
    ],
  )
})

test('partition 0 listens on the subject of the stream, the others on numbered ones', () => {
  assert.equal(partitionSubject('foo', 0), 'foo')
  assert.equal(partitionSubject('foo', 12), 'foo.12')
})

suite('syntax', () => {
  test('each malformed subject is refused with its reason', () => {
    const cases: readonly (readonly [string, string | undefined])[] = [
      ['', 'empty'],
      ['a', undefined],
      ['a.b.*.>', undefined],
      ['*', undefined],
      ['>', undefined],
      ['.a', 'an empty token'],
      ['a.', 'an empty token'],
      ['a..b', 'an empty token'],
      ['..', 'an empty token'],
      ['>.a', 'tokens after ">"'],
      ['a.>.b', 'tokens after ">"'],
      ['a b', 'white space or a control character'],
      ['a\tb', 'white space or a control character'],
      ['a\r\nPUB x', 'white space or a control character'],
      ['a\0', 'white space or a control character'],
      ['a\x7f', 'white space or a control character'],
      ['a\ud800', 'not well-formed Unicode'],
      ['é'.repeat(127), undefined],
      ['é'.repeat(128), 'longer than 255 bytes'],
      ['x'.repeat(255), undefined],
      ['x'.repeat(256), 'longer than 255 bytes'],
      ['foo*', undefined],
      ['a>b.c', undefined],
      ['%2e%2e/\\:', undefined],
    ]
    for (const [subject, problem] of cases) {
      assert.equal(subjectProblem(subject), problem, JSON.stringify(subject))
      assert.equal(isSubject(subject), problem === undefined)
    }
  })
  test('a literal subject has no wildcard token', () => {
    assert.equal(literalSubjectProblem('a.*'), 'a wildcard')
    assert.equal(literalSubjectProblem('>'), 'a wildcard')
    assert.ok(isLiteralSubject('foo*.a>'))
    assert.ok(!hasWildcard('foo*.a>'))
    assert.equal(literalSubjectProblem('a b'), 'white space or a control character')
  })
})

const alphabet = ['a', 'b', 'c']
const tokens = (from: readonly string[]): fc.Arbitrary<string[]> =>
  fc.array(fc.constantFrom(...from), { minLength: 1, maxLength: 4 })
const literal = tokens(alphabet).map((list) => list.join('.'))
const pattern = fc
  .tuple(tokens([...alphabet, '*']), fc.boolean())
  .map(([list, rest]) => [...list.slice(0, 3), ...(rest ? ['>'] : [])].join('.'))

/** Matching said by a regular expression. */
function matchesTwin(wanted: string, subject: string): boolean {
  const source = wanted
    .split('.')
    .map((token) => (token === '*' ? '[^.]+' : token === '>' ? '.+' : token))
    .join('\\.')
  return new RegExp(`^${source}$`).test(subject)
}

/** All literals over the alphabet of up to five tokens. */
function* literals(): Generator<string> {
  let level = [...alphabet]
  for (let length = 1; length <= 5; length++) {
    yield* level
    level = level.flatMap((head) => alphabet.map((token) => `${head}.${token}`))
  }
}
const everyLiteral = [...literals()]

suite('wildcards', () => {
  test('a subscription receives what the regular expression of its pattern accepts', () => {
    fc.assert(
      fc.property(pattern, literal, (wanted, subject) => {
        assert.equal(subjectMatches(wanted, subject), matchesTwin(wanted, subject))
      }),
      { numRuns: 2000 },
    )
  })
  test('two patterns overlap exactly when some literal matches both', () => {
    fc.assert(
      fc.property(pattern, pattern, (left, right) => {
        const shared = everyLiteral.some(
          (subject) => matchesTwin(left, subject) && matchesTwin(right, subject),
        )
        assert.equal(subjectsOverlap(left, right), shared)
        assert.equal(subjectsOverlap(right, left), shared)
      }),
      { numRuns: 500 },
    )
  })
})

suite('subjects that clients choose [A4]', () => {
  test('a stream may not hear the servers, NATS itself or the replies of others', () => {
    const reserved = [
      '>',
      '*.>',
      '*.*',
      'liftbridge-default.>',
      'liftbridge-default.foo',
      'liftbridge-default.*.*.replicate',
      '*.ack.*',
      '*.raft.metadata.propagate',
      '$SYS.>',
      '$SYS.REQ.SERVER.PING',
      '$JS.API.STREAM.CREATE.x',
      '*.API.>',
      '_INBOX.>',
      '_INBOX.abc.*',
    ]
    for (const subject of reserved) {
      assert.equal(streamSubjectProblem(namespace, subject, 1), 'reserved for the servers', subject)
    }
    for (const subject of ['foo', 'foo.*', 'foo.>', '*', '$SYSTEM.x', 'liftbridge-default2.x']) {
      assert.equal(streamSubjectProblem(namespace, subject, 1), undefined, subject)
    }
  })
  test('no partition of a stream may either', () => {
    assert.equal(streamSubjectProblem(namespace, namespace, 1), undefined)
    assert.equal(streamSubjectProblem(namespace, namespace, 2), 'reserved for the servers')
    assert.equal(streamSubjectProblem(namespace, '*', 2), 'reserved for the servers')
    assert.equal(streamSubjectProblem(namespace, '_INBOX', 2), 'reserved for the servers')
    assert.equal(streamSubjectProblem(namespace, 'foo.*', 2), undefined)
    assert.equal(
      streamSubjectProblem(namespace, 'foo.>', 2),
      'a subject ending in ">" cannot have several partitions',
    )
    assert.equal(streamSubjectProblem(namespace, 'x'.repeat(253), 10), undefined)
    assert.equal(streamSubjectProblem(namespace, 'x'.repeat(253), 11), 'longer than 255 bytes')
    assert.equal(streamSubjectProblem(namespace, 'a b', 1), 'white space or a control character')
  })
  test('nothing is sent for a client to the servers, to NATS itself or to a wildcard', () => {
    assert.equal(
      targetSubjectProblem(namespace, 'liftbridge-default.ack.N'),
      'reserved for the servers',
    )
    assert.equal(targetSubjectProblem(namespace, '$JS.API.INFO'), 'reserved for the servers')
    assert.equal(targetSubjectProblem(namespace, 'foo.*'), 'a wildcard')
    assert.equal(targetSubjectProblem(namespace, '_INBOX.abc.1'), undefined)
    assert.equal(targetSubjectProblem(namespace, 'my.acks'), undefined)
  })
  test('whatever is accepted for a stream never matches a subject of the cluster', () => {
    const subjects = new ClusterSubjects('a.b')
    const internal = [subjects.replicate('a', 1), subjects.notify('b'), subjects.ackInbox('c')]
    fc.assert(
      fc.property(pattern, fc.integer({ min: 1, max: 3 }), (subject, partitions) => {
        if (streamSubjectProblem('a.b', subject, partitions) !== undefined) return
        for (let partition = 0; partition < partitions; partition++) {
          const own = partitionSubject(subject, partition)
          for (const name of internal) assert.ok(!subjectMatches(own, name), `${own} ${name}`)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
