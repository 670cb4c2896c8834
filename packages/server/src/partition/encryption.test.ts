import assert from 'node:assert/strict'
import { test } from 'node:test'
import { masterKeyProblem, SEALED_OVERHEAD_BYTES, ValueCipher } from './encryption.ts'

const master = Buffer.from('t7w!z%C*F-JaNcRf')

test('a sealed value has the bytes that Go Liftbridge stores', () => {
  const sealed = new ValueCipher(master).seal(Buffer.from('hello'), {
    dataKey: Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
    nonce: Buffer.from('A0A1A2A3A4A5A6A7A8A9AAAB', 'hex'),
  })
  assert.equal(
    sealed.toString('hex'),
    '280a5018f355c047195ce9d9943e21c2162af7d6b85618ef2bae598cf81cc8d9dd66b162da2d6649b5' +
      'a0a1a2a3a4a5a6a7a8a9aaab8e7d10412ab469edeb6fa84bae4731a07dbf70c564',
  )
  assert.equal(new ValueCipher(master).open(sealed).toString(), 'hello')
})

test('values sealed before a restart open after it, with either key size', () => {
  for (const key of [master, Buffer.alloc(32, 7)]) {
    const value = Buffer.from('x'.repeat(1000))
    const sealed = new ValueCipher(key).seal(value)
    assert.equal(sealed.length, value.length + SEALED_OVERHEAD_BYTES)
    assert.deepEqual(new ValueCipher(key).open(sealed), value)
    assert.equal(new ValueCipher(key).open(new ValueCipher(key).seal(Buffer.alloc(0))).length, 0)
  }
})

test('a value shorter than its own header, or sealed by another key, is an error and no crash', () => {
  const cipher = new ValueCipher(master)
  for (const bytes of [[], [40], [0, 1, 2], [255, ...Array.from({ length: 60 }, () => 1)]]) {
    assert.throws(() => cipher.open(Uint8Array.from(bytes)))
  }
  const sealed = new ValueCipher(Buffer.alloc(16, 1)).seal(Buffer.from('secret'))
  assert.throws(() => cipher.open(sealed))
})

test('only keys of 16 and 32 bytes are taken, and the text says what is wrong', () => {
  assert.equal(masterKeyProblem(master), undefined)
  assert.equal(
    masterKeyProblem(Buffer.alloc(24)),
    'kwp: invalid AES key size; want 16 or 32, got 24',
  )
  assert.equal(masterKeyProblem(undefined), 'kwp: invalid AES key size; want 16 or 32, got 0')
})
