import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeText, encodeText, isUtf8 } from './text.ts'

const strict = new TextDecoder('utf-8', { fatal: true })

/** What the platform's strict decoder says. */
function isUtf8Twin(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

test('each sequence of one and two bytes is judged like the platform does', () => {
  for (let first = 0; first < 256; first++) {
    assert.equal(isUtf8(Uint8Array.of(first), 0, 1), isUtf8Twin(Uint8Array.of(first)))
    for (let second = 0; second < 256; second++) {
      const bytes = Uint8Array.of(first, second)
      assert.equal(isUtf8(bytes, 0, 2), isUtf8Twin(bytes), `${first} ${second}`)
    }
  }
})

test('sequences of three and four bytes with bytes at the borders are judged alike', () => {
  const borders = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
  for (let lead = 0xe0; lead < 0x100; lead++) {
    for (const second of borders) {
      for (const third of borders) {
        for (const bytes of [
          Uint8Array.of(lead, second, third),
          Uint8Array.of(lead, second, third, 0x80),
          Uint8Array.of(lead, second, third, 0xc0),
        ]) {
          assert.equal(isUtf8(bytes, 0, bytes.length), isUtf8Twin(bytes), bytes.join(' '))
        }
      }
    }
  }
})

test('a sequence may not reach beyond the end', () => {
  const euro = encodeText('x€')
  assert.ok(isUtf8(euro, 0, 4))
  assert.equal(isUtf8(euro, 0, 3), false)
  assert.equal(isUtf8(euro, 2, 4), false)
})

test('well-formed text comes out as it went in, a leading U+FEFF too', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const bytes = encodeText(`\ufeff${text}`)
      assert.ok(isUtf8(bytes, 0, bytes.length))
      assert.equal(decodeText(bytes), `\ufeff${text}`)
      assert.equal(decodeText(bytes, 3), text)
    }),
  )
})
