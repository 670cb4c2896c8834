import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CommandParser } from './command-parser.ts'
import { RecordingSink } from './recording-sink.suite.ts'

const LIMITS = { maxPayloadBytes: 64, maxControlLineBytes: 80 }

function parsed(...chunks: readonly Buffer[]): readonly string[] {
  const sink = new RecordingSink()
  const parser = new CommandParser(sink, LIMITS)
  for (const chunk of chunks) parser.parse(chunk)
  return sink.events
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

const CONVERSATION =
  'CONNECT {"verbose":false}\r\nSUB foo 1\r\nsub foo.* q 2\nPUB foo 5\r\nhello\r\n' +
  'PUB foo bar 0\r\n\r\nHPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\nHPUB a b 1 3\r\n\r\n\n\r\n' +
  'UNSUB 1 7\r\nUNSUB 2\r\nPING\r\nPONG\r\n+OK\r\nINFO {}\r\nPUB \xff\xfe 1\r\n\x00\r\nPUB foo 3\r\nabX\r\nPING\r\n'

test('commands come out as they went in', () => {
  assert.deepEqual(parsed(bytes(CONVERSATION)), [
    'connect {"verbose":false}',
    'sub foo  1',
    'sub foo.* q 2',
    'pub foo  -1 hello',
    'pub foo bar -1 ',
    'pub foo  12 NATS/1.0\r\n\r\nhi',
    'pub a b 1 \r\n\n',
    'unsub 1 7',
    'unsub 2 0',
    'ping',
    'pong',
    'pub \xff\xfe  -1 \x00',
    'pub foo  -1 abX',
    'ping',
  ])
})

test('it makes no difference where a conversation is split in three', () => {
  const whole = bytes(CONVERSATION)
  const expected = parsed(whole)
  for (let i = 0; i <= whole.length; i++) {
    for (const j of [i, i + 1, i + 2, i + 17, whole.length]) {
      const middle = Math.min(j, whole.length)
      const pieces = [whole.subarray(0, i), whole.subarray(i, middle), whole.subarray(middle)]
      assert.deepEqual(parsed(...pieces), expected, `split at ${i} and ${middle}`)
    }
  }
})

test('nor when every byte comes alone', () => {
  const whole = bytes(CONVERSATION)
  assert.deepEqual(parsed(...[...whole].map((byte) => Buffer.from([byte]))), parsed(whole))
})

test('after an error nothing more is reported', () => {
  assert.deepEqual(parsed(bytes('FOO\r\nPING\r\n')), ['error Unknown Protocol Operation'])
  assert.deepEqual(parsed(bytes('F'), bytes('PING\r\n')), ['error Unknown Protocol Operation'])
})

test('a command that stops the parser ends the chunk', () => {
  const sink = new RecordingSink()
  const parser = new CommandParser(sink, LIMITS)
  sink.onEvent = (event) => event === 'ping' && parser.stop()
  parser.parse(bytes('PONG\r\nPING\r\nPONG\r\nSUB a 1\r\n'))
  assert.deepEqual(sink.events, ['pong', 'ping'])
})

test('views of a payload stay as they were published', () => {
  const sink = new RecordingSink()
  const kept: Uint8Array[] = []
  sink.onPublication = (publication) => {
    kept.push(publication.bytes.subarray(publication.start, publication.end))
  }
  const parser = new CommandParser(sink, LIMITS)
  for (const piece of ['PUB a 3\r\nabc\r\nPUB a 4\r\nde', 'fg\r\nPUB a 2\r\nhi\r\n']) {
    parser.parse(bytes(piece))
  }
  assert.deepEqual(
    kept.map((one) => Buffer.from(one).toString()),
    ['abc', 'defg', 'hi'],
  )
})

const FRAGMENTS = [
  'PUB a 3\r\nabc\r\n',
  'PUB a b 0\r\n\r\n',
  'HPUB a 2 3\r\nabc\r\n',
  'SUB a 1\r\n',
  'SUB a.* q 1\n',
  'UNSUB 1 2\r\n',
  'CONNECT {}\r\n',
  'PING\r\n',
  '-ERR x\r\n',
  '+OK\r\n',
  'INFO \r\n',
  'PUB ',
  'HPUB',
  'PUB a 64\r\n',
  ' 65\r\n',
  'x'.repeat(50),
  ' ',
  '\t',
  '\r',
  '\n',
  '\r\n',
  'a',
  '9',
]
const piece = fc.oneof(
  fc.constantFrom(...FRAGMENTS),
  fc.uint8Array({ maxLength: 6 }).map((raw) => Buffer.from(raw).toString('latin1')),
)

test('any bytes, split anywhere, give the same commands and never a throw', () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.nat(200), { maxLength: 8 }),
      (pieces, cuts) => {
        const whole = bytes(pieces.join(''))
        const at = cuts.map((cut) => cut % (whole.length + 1)).toSorted((a, b) => a - b)
        const chunks = [...at, whole.length].map((end, i) => whole.subarray(at[i - 1] ?? 0, end))
        assert.deepEqual(parsed(...chunks), parsed(whole))
      },
    ),
    { numRuns: Number(process.env['NATS_PROPERTY_RUNS'] ?? 5000) },
  )
})

test('a paused parser keeps what comes, and goes on with it in order', () => {
  const sink = new RecordingSink()
  const parser = new CommandParser(sink, { maxPayloadBytes: 100, maxControlLineBytes: 100 })
  sink.onEvent = (event) => event.startsWith('connect') && parser.pause()
  parser.parse(Buffer.from('CONNECT {}\r\nPUB a 5\r\nhe'))
  parser.parse(Buffer.from('llo\r\nPI'))
  parser.parse(Buffer.from('NG\r\nCONNECT {}\r\nPONG\r\n'))
  assert.deepEqual(sink.events, ['connect {}'])
  parser.resume()
  assert.deepEqual(sink.events.slice(1), ['pub a  -1 hello', 'ping', 'connect {}'])
  parser.resume()
  assert.deepEqual(sink.events.slice(4), ['pong'])
  parser.parse(Buffer.from('PING\r\n'))
  assert.deepEqual(sink.events.slice(5), ['ping'])
})
