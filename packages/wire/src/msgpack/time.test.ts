import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '../wire-error.ts'
import { read, written } from './hex.suite.ts'
import { time } from './time.ts'

const readTime = (hex: string): bigint | undefined => time.read(read(hex))
const at = 1_700_000_000_123_456_789n

test('times are the 15 bytes of Go', () => {
  const hex = 'af010000000edce5e800075bcd15ffff'
  assert.equal(
    written((writer) => time.write(writer, at)),
    hex,
  )
  assert.equal(readTime(hex), at)
})

test('the zero time of Go is undefined', () => {
  const hex = 'af01000000000000000000000000ffff'
  assert.equal(
    written((writer) => time.write(writer, undefined)),
    hex,
  )
  assert.equal(readTime(hex), undefined)
  assert.equal(readTime('c0'), undefined)
})

test('times survive before the epoch, too', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n - 2n ** 63n, max: 2n ** 63n - 1n }), (instant) => {
      const hex = written((writer) => time.write(writer, instant))
      assert.equal(readTime(hex), instant)
    }),
  )
})

test('times that 64 bits of nanoseconds cannot hold are undefined', () => {
  const year2262 = 9_223_372_036_854_775_807n
  for (const instant of [year2262, -year2262]) {
    const hex = written((writer) => time.write(writer, instant))
    assert.equal(readTime(hex), instant)
    const beyond = instant < 0n ? instant - 1n : instant + 1n
    assert.equal(readTime(written((writer) => time.write(writer, beyond))), undefined)
  }
  // The greatest seconds of every form; the first was found by fuzzing.
  for (const hex of [
    'ac000000007fffffff00000000',
    'c70cff000000007fffffffffffffff',
    'af017fffffffffffffff00000000ffff',
  ]) {
    assert.equal(readTime(hex), undefined, hex)
  }
})

test('times are read in every form that Go reads', () => {
  const seconds = 1_700_000_000n * 1_000_000_000n
  assert.equal(readTime('d6ff6553f100'), seconds)
  assert.equal(readTime('a46553f100'), seconds)
  assert.equal(readTime('a81d6f34546553f100'), at)
  assert.equal(readTime('d7ff1d6f34546553f100'), at)
  assert.equal(readTime('c70cff075bcd15000000006553f100'), at)
  assert.equal(readTime('ac075bcd15000000006553f100'), at)
  // With a zone, in minutes and in seconds.
  assert.equal(readTime('af010000000edce5e800075bcd15003c'), at)
  assert.equal(readTime('b0020000000edce5e800075bcd15003c07'), at)
})

test('times are refused where Go refuses them', () => {
  for (const hex of [
    'c40f010000000edce5e800075bcd15ffff',
    '05',
    'a3010203',
    'd6006553f100',
    'd4ff00',
  ]) {
    assert.throws(() => readTime(hex), WireError, hex)
  }
})
