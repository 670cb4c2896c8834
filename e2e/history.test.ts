/** The checker must catch every kind of bad history, and accept every good one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnomalyKind, PartitionHistory, type Writer } from './history.ts'

/** A writer that sent `count` messages, all acknowledged at the offset of their number. */
function acknowledged(history: PartitionHistory, count: number, id = 1): Writer {
  const writer = history.addWriter(id)
  for (let i = 0; i < count; i++) writer.ok(writer.invoke(), i)
  return writer
}

type Found = readonly [offset: number, writer: number, sequence: number, intact?: boolean]

/** The kinds of anomalies in one read. */
function kinds(history: PartitionHistory, found: readonly Found[]): AnomalyKind[] {
  history.beginRead()
  for (const [offset, writer, sequence, intact] of found) {
    history.read(offset, writer, sequence, intact ?? true)
  }
  return history.endRead().map((anomaly) => anomaly.kind)
}

test('a log that holds every acknowledged message once and in order is good', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 3)
  const good: Found[] = [
    [0, 1, 0],
    [1, 1, 1],
    [2, 1, 2],
  ]
  assert.deepEqual(kinds(history, good), [])
  assert.deepEqual(kinds(history, good), [], 'a second read of the same')
})

test('messages without an outcome may be there or not', () => {
  const there = new PartitionHistory('p')
  acknowledged(there, 1).invoke()
  assert.deepEqual(
    kinds(there, [
      [0, 1, 0],
      [1, 1, 1],
    ]),
    [],
  )
  const gone = new PartitionHistory('p')
  acknowledged(gone, 1).invoke()
  assert.deepEqual(kinds(gone, [[0, 1, 0]]), [])
})

test('messages of several writers may mix', () => {
  const history = new PartitionHistory('p')
  const [first, second] = [history.addWriter(1), history.addWriter(2)]
  for (const writer of [first, second]) for (let i = 0; i < 2; i++) writer.invoke()
  first.ok(0, 0)
  second.ok(0, 1)
  second.ok(1, 2)
  first.ok(1, 3)
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 2, 0],
      [2, 2, 1],
      [3, 1, 1],
    ]),
    [],
  )
})

test('an acknowledged message that is missing at the end is lost', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 2)
  assert.deepEqual(kinds(history, [[0, 1, 0]]), ['lost'])
})

test('an acknowledged message that is missing in the middle is lost, and what follows moved', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 3)
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 1, 2],
    ]),
    ['lost', 'moved'],
  )
})

test('a whole log that is gone is lost message by message, described up to a bound', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 100)
  const found = kinds(history, [])
  assert.equal(found.length, 21)
  assert.ok(found.every((kind) => kind === 'lost'))
})

test('one message at two offsets is a duplicate', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 1)
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 1, 0],
    ]),
    ['duplicate'],
  )
})

test('messages of one writer in another order are reordered', () => {
  const history = new PartitionHistory('p')
  const writer = history.addWriter(1)
  writer.invoke()
  writer.invoke()
  assert.deepEqual(
    kinds(history, [
      [0, 1, 1],
      [1, 1, 0],
    ]),
    ['reordered'],
  )
})

test('a message nobody sent is a phantom', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 1)
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 1, 1],
      [2, 9, 0],
    ]),
    ['phantom', 'phantom'],
  )
  history.beginRead()
  history.read(0, 1, 0, true)
  history.readUnknown(1, 'garbage')
  assert.deepEqual(
    history.endRead().map((anomaly) => anomaly.kind),
    ['phantom', 'vanished'],
  )
})

test('a message with other bytes than were sent is changed', () => {
  const history = new PartitionHistory('p')
  acknowledged(history, 1)
  assert.deepEqual(kinds(history, [[0, 1, 0, false]]), ['changed'])
})

test('a refused message that can be read is an aborted read', () => {
  const history = new PartitionHistory('p')
  const writer = history.addWriter(1)
  writer.failed(writer.invoke())
  assert.deepEqual(kinds(history, [[0, 1, 0]]), ['aborted-read'])
  assert.deepEqual(kinds(history, []), ['vanished'])
})

test('a message at another offset than its ack said has moved', () => {
  const history = new PartitionHistory('p')
  const writer = history.addWriter(1)
  writer.invoke()
  writer.ok(writer.invoke(), 0)
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 1, 1],
    ]),
    ['moved'],
  )
})

test('one offset with two values is caught between two reads, and between two acks', () => {
  const history = new PartitionHistory('p')
  const [first, second] = [history.addWriter(1), history.addWriter(2)]
  first.invoke()
  second.invoke()
  assert.deepEqual(kinds(history, [[0, 1, 0]]), [])
  assert.deepEqual(kinds(history, [[0, 2, 0]]), ['two-values'])
  const acks = new PartitionHistory('p')
  acknowledged(acks, 1, 1)
  acknowledged(acks, 1, 2)
  assert.deepEqual(
    kinds(acks, [
      [0, 1, 0],
      [1, 2, 0],
    ]),
    ['moved'],
  )
})

test('offsets that skip or repeat are a gap', () => {
  const history = new PartitionHistory('p')
  const writer = history.addWriter(1)
  for (let i = 0; i < 3; i++) writer.invoke()
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [2, 1, 1],
    ]),
    ['gap'],
  )
  assert.deepEqual(kinds(history, [[1, 1, 0]]), ['gap', 'vanished'])
})

test('a message that an earlier read saw may not vanish, acknowledged or not', () => {
  const history = new PartitionHistory('p')
  const writer = history.addWriter(1)
  writer.invoke()
  writer.invoke()
  assert.deepEqual(
    kinds(history, [
      [0, 1, 0],
      [1, 1, 1],
    ]),
    [],
  )
  assert.deepEqual(kinds(history, [[0, 1, 0]]), ['vanished'])
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
