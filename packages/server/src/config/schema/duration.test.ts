import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseDuration } from './duration.ts'

const msOf = (text: string) => {
  const result = parseDuration(text)
  return result.kind === 'ok' ? result.ms : result.reason
}

test('durations are read as Go writes them', () => {
  const examples: readonly (readonly [text: string, ms: number])[] = [
    ['1h30m', 5_400_000],
    ['10ms', 10],
    ['1.5h', 5_400_000],
    ['168h', 604_800_000],
    ['500us', 0.5],
    ['500µs', 0.5],
    ['500μs', 0.5],
    ['1000000ns', 1],
    ['.5s', 500],
    ['1.s', 1000],
    ['+2s', 2000],
    ['-2s', -2000],
    [' 3m ', 180_000],
    ['0', 0],
    ['0s', 0],
    ['-0s', 0],
    ['1m1m', 120_000],
  ]
  for (const [text, ms] of examples) assert.equal(msOf(text), ms, text)
})

test('a bare number other than zero is refused and the answer says what to write [D-62]', () => {
  for (const text of ['30', '15', '1.5', '-3']) {
    assert.match(String(msOf(text)), new RegExp(`write ${text}s for seconds`.replace('.', '\\.')))
  }
})

test('what is no duration is refused instead of becoming zero [D-62]', () => {
  for (const text of ['', 'soon', '1d', '1h 30m', 'h', '1hh', '--1s', '1,5h', '1e3s', '∞']) {
    assert.equal(parseDuration(text).kind, 'bad', text)
  }
})

test('a duration beyond the range of Go is refused', () => {
  assert.equal(parseDuration('2562047h').kind, 'ok')
  assert.equal(parseDuration('2562048h').kind, 'bad')
  assert.equal(parseDuration('9'.repeat(60) + 'h').kind, 'bad')
})

test('every duration is read back from the text written for it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (us) => {
      const ms = us / 1000
      const back = msOf(formatDuration(ms))
      assert.ok(typeof back === 'number' && Math.abs(back - ms) < 1e-3, `${ms} -> ${back}`)
    }),
  )
  assert.equal(formatDuration(604_800_000), '168h')
  assert.equal(formatDuration(90_000), '1m30s')
  assert.equal(formatDuration(0.5), '500us')
  assert.equal(formatDuration(0), '0')
})

test('no text makes the parser throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseDuration(text)))
})
