/** The checker must catch every kind of bad history, and accept every good one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Anomaly, type AnomalyKind, PartitionHistory, type Writer } from './history.ts'
import { WatermarkHistory } from './watermark-history.ts'

/** A writer that sent `count` messages, all acknowledged at the offset of their number. */
function acknowledged(history: PartitionHistory, count: number, id = 1): Writer {
  const writer = history.addWriter(id)
  for (let i = 0; i < count; i++) writer.ok(writer.invoke(), i)
  return writer
}

/** A writer that sent `count` messages and knows nothing of their fate. */
function unanswered(history: PartitionHistory, count: number, id = 1): Writer {
  const writer = history.addWriter(id)
  for (let i = 0; i < count; i++) writer.invoke()
  return writer
}

/**
 * The kinds of anomalies in one read. Messages are `writer-sequence` in the order of their
 * offsets; `@offset` places one elsewhere, `!` marks one whose bytes are not what was sent.
 */
function kinds(history: PartitionHistory, found: string): AnomalyKind[] {
  history.beginRead()
  let offset = 0
  for (const message of found.split(' ').filter((text) => text !== '')) {
    const parts = /^(\d+)-(\d+)(?:@(\d+))?(!?)$/.exec(message)
    assert.ok(parts !== null, message)
    const [, writer, sequence, place, changed] = parts
    if (place !== undefined) offset = Number(place)
    history.read(offset++, Number(writer), Number(sequence), changed !== '!')
  }
  return kindsOf(history.endRead())
}

function kindsOf(anomalies: readonly Anomaly[]): AnomalyKind[] {
  return anomalies.map(({ kind }) => kind)
}

type Case = {
  readonly rule: string
  readonly history: (history: PartitionHistory) => unknown
  /** Reads one after the other, each with what must be found in it. */
  readonly reads: readonly (readonly [found: string, ...expected: AnomalyKind[]])[]
}

const CASES: readonly Case[] = [
  {
    rule: 'a log that holds every acknowledged message once and in order is good, each time',
    history: (history) => acknowledged(history, 3),
    reads: [['1-0 1-1 1-2'], ['1-0 1-1 1-2']],
  },
  {
    rule: 'messages without an outcome may be there',
    history: (history) => acknowledged(history, 1).invoke(),
    reads: [['1-0 1-1']],
  },
  {
    rule: 'messages without an outcome may be missing',
    history: (history) => acknowledged(history, 1).invoke(),
    reads: [['1-0']],
  },
  {
    rule: 'messages of several writers may mix',
    history: (history) => {
      const [first, second] = [unanswered(history, 2, 1), unanswered(history, 2, 2)]
      first.ok(0, 0)
      second.ok(0, 1)
      second.ok(1, 2)
      first.ok(1, 3)
    },
    reads: [['1-0 2-0 2-1 1-1']],
  },
  {
    rule: 'an acknowledged message that is missing at the end is lost',
    history: (history) => acknowledged(history, 2),
    reads: [['1-0', 'lost']],
  },
  {
    rule: 'an acknowledged message that is missing in the middle is lost, and what follows moved',
    history: (history) => acknowledged(history, 3),
    reads: [['1-0 1-2', 'lost', 'moved']],
  },
  {
    rule: 'one message at two offsets is a duplicate',
    history: (history) => acknowledged(history, 1),
    reads: [['1-0 1-0', 'duplicate']],
  },
  {
    rule: 'messages of one writer in another order are reordered',
    history: (history) => unanswered(history, 2),
    reads: [['1-1 1-0', 'reordered']],
  },
  {
    rule: 'a message that nobody sent is a phantom',
    history: (history) => acknowledged(history, 1),
    reads: [['1-0 1-1 9-0', 'phantom', 'phantom']],
  },
  {
    rule: 'a message with other bytes than were sent is changed',
    history: (history) => acknowledged(history, 1),
    reads: [['1-0!', 'changed']],
  },
  {
    rule: 'a refused message that can be read is an aborted read',
    history: (history) => unanswered(history, 1).failed(0),
    reads: [
      ['1-0', 'aborted-read'],
      ['', 'vanished'],
    ],
  },
  {
    rule: 'a message at another offset than its ack said has moved',
    history: (history) => unanswered(history, 2).ok(1, 0),
    reads: [['1-0 1-1', 'moved']],
  },
  {
    rule: 'one offset with two values is caught between two reads, as between two replicas',
    history: (history) => {
      unanswered(history, 1, 1)
      unanswered(history, 1, 2)
    },
    reads: [['1-0'], ['2-0', 'two-values']],
  },
  {
    rule: 'one offset that two acks named is caught',
    history: (history) => {
      acknowledged(history, 1, 1)
      acknowledged(history, 1, 2)
    },
    reads: [['1-0 2-0', 'moved']],
  },
  {
    rule: 'offsets that skip or repeat are a gap',
    history: (history) => unanswered(history, 3),
    reads: [
      ['1-0 1-1@2', 'gap'],
      ['1-0@1', 'gap', 'vanished'],
    ],
  },
  {
    rule: 'a message that an earlier read saw may not vanish, acknowledged or not',
    history: (history) => unanswered(history, 2),
    reads: [['1-0 1-1'], ['1-0', 'vanished']],
  },
  {
    rule: 'a message that was glimpsed may not vanish',
    history: (history) => {
      unanswered(history, 2)
      history.glimpse(1, 1, 1)
    },
    reads: [['1-0', 'vanished'], ['1-0 1-1']],
  },
  {
    rule: 'a message that was glimpsed may not be replaced',
    history: (history) => {
      unanswered(history, 2)
      history.glimpse(0, 1, 0)
    },
    reads: [['1-1', 'two-values']],
  },
  {
    rule: 'two glimpses of one offset agree, and are of somebody',
    history: (history) => {
      unanswered(history, 2)
      history.glimpse(0, 1, 0)
      history.glimpse(0, 1, 1)
      history.glimpse(1, 7, 0)
    },
    reads: [['1-0 1-1', 'two-values', 'phantom', 'two-values']],
  },
]

for (const { rule, history: prepare, reads } of CASES) {
  test(rule, () => {
    const history = new PartitionHistory('p')
    prepare(history)
    for (const [found, ...expected] of reads) assert.deepEqual(kinds(history, found), expected)
  })
}

test('a whole log that is gone is lost message by message, described up to a bound', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 100)
  const found = kinds(history, '')
  assert.equal(found.length, 21)
  assert.ok(found.every((kind) => kind === 'lost'))
})

test('a value that names no message is a phantom', () => {
  const history = new PartitionHistory('p')
  history.beginRead()
  history.readUnknown(0, 'garbage')
  assert.deepEqual(kindsOf(history.endRead()), ['phantom'])
})

test('a million messages are checked in seconds', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 1_000_000)
  const began = performance.now()
  history.beginRead()
  for (let i = 0; i < 1_000_000; i++) history.read(i, 1, i, true)
  assert.deepEqual(history.endRead(), [])
  assert.ok(performance.now() - began < 10_000)
})

/** What is wrong when servers tell `server run highWatermark newest`, and the log has `length`. */
function watermarks(length: number, told: readonly string[]): AnomalyKind[] {
  const history = new WatermarkHistory('p')
  for (const note of told) {
    const [server = '', run, highWatermark, newest] = note.split(' ')
    const numbers = {
      run: Number(run),
      highWatermark: Number(highWatermark),
      newest: Number(newest),
    }
    history.note({ server, ...numbers })
  }
  return kindsOf(history.check(length))
}

test('high watermarks that grow are good, and a follower may lag behind its leader', () => {
  assert.deepEqual(watermarks(10, ['a 0 5 9', 'b 0 3 9', 'a 0 9 9', 'b 0 3 9', 'b 0 9 9']), [])
})

test('a high watermark that moves back is found; that of another run may begin lower', () => {
  assert.deepEqual(watermarks(10, ['a 0 5 9', 'a 0 4 9', 'a 0 9 9']), ['high-watermark-back'])
  assert.deepEqual(watermarks(10, ['a 0 5 9', 'a 1 4 9', 'a 1 9 9']), [])
})

test('a high watermark beyond the end of the log that tells it is found', () => {
  assert.deepEqual(watermarks(10, ['a 0 6 5']), ['high-watermark-beyond-end'])
})

test('a log that ends below a high watermark that was told has lost something', () => {
  assert.deepEqual(watermarks(9, ['a 0 9 9', 'b 0 8 8']), ['high-watermark-lost'])
  assert.deepEqual(watermarks(10, ['a 0 9 9', 'b 0 8 8']), [])
})
