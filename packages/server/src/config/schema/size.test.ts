import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatSize, parseSize } from './size.ts'

const bytesOf = (text: string) => {
  const result = parseSize(text)
  return result.kind === 'ok' ? result.bytes : result.reason
}

test('sizes are plain bytes, or numbers with a decimal or a binary unit', () => {
  const examples: readonly (readonly [text: string, bytes: number])[] = [
    ['0', 0],
    ['268435456', 268_435_456],
    ['256MiB', 268_435_456],
    ['256 mib', 268_435_456],
    ['1GB', 1_000_000_000],
    ['1GiB', 1_073_741_824],
    ['1.5kB', 1500],
    ['12B', 12],
    ['-1', -1],
    ['-0', 0],
  ]
  for (const [text, bytes] of examples) assert.equal(bytesOf(text), bytes, text)
})

test('what is no size is refused', () => {
  for (const text of ['', 'big', '1XB', '1e9', '0x10', '1_000', '1.5', '1.2345KiB', '9e9TiB']) {
    assert.equal(parseSize(text).kind, 'bad', text)
  }
  assert.equal(parseSize('9007199254740993').kind, 'bad')
})

test('every size is read back exactly from the text written for it', () => {
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      assert.equal(bytesOf(formatSize(bytes)), bytes)
    }),
  )
  assert.equal(formatSize(268_435_456), '256MiB')
})
