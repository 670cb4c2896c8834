import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import fc from 'fast-check'
import { decodeDirectoryName, encodeDirectoryName } from './directory-name.ts'
import { sha256Hex } from './sha256.ts'

/** Names that have broken software before; grouped, then varied below to more than 300. */
const SEEDS = [
  ['', '.', '..', '...', '../x', '../../etc/passwd', '/', '//', '/etc', 'a/b', 'a//b', 'a/../b'],
  [
    '\\',
    '..\\x',
    'C:\\x',
    'C:',
    '\\\\server\\share',
    'a:b',
    'file.',
    'file ',
    ' file',
    '~',
    '~root',
  ],
  ['%', '%%', '%2e', '%2E', '%2e%2e%2f', '%2F', '%41', '%00', '%~', 'a%~b', '%u002e', '%C0%AE'],
  ['\0', 'a\0b', '\n', 'a\r\nb', '\t', '\x1b[2J', '\x7f', '\u0085', '\u2028', '\u200b', '\u202e'],
  ['CON', 'con', 'NUL', 'nul.txt', 'COM1', 'LPT9', 'AUX', 'PRN', 'CONIN$', '__cursors'],
  [
    '__activity',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '.deleted',
    '.quarantine',
  ],
  ['foo', 'Foo', 'FOO', 'foo.bar', 'foo-bar', 'foo_bar', '-rf', '--', '-', '_', '0', '00', '1e3'],
  ['*', '>', 'a.*', 'a.>', '?', '[a]', '{a,b}', '$HOME', '$(id)', '`id`', ';', '&', '|', '"', "'"],
  ['é', 'e\u0301', 'ﬁ', 'fi', 'İ', 'i\u0307', 'ß', 'SS', 'ẞ', 'Å', 'Å', 'A\u030a', 'ſ', 'K', 'K'],
  ['а', 'a', 'ο', 'o', '日本', '🦊', '𝒇𝒐𝒐', '\ufeff', '\ufefffoo', '\ufffd', '\ud7ff', '\ue000'],
].flat()

const variants = (name: string): string[] => [name, `${name}.`, `.${name}`, `${name}/`, `x${name}`]
const CORPUS = [
  ...new Set([
    ...SEEDS.flatMap(variants),
    ...[119, 120, 121, 199, 200, 201, 254, 255, 256, 4096].flatMap((length) => [
      'a'.repeat(length),
      `${'a'.repeat(length - 1)}b`,
      '/'.repeat(length),
      'é'.repeat(length),
      `.${'a'.repeat(length - 1)}`,
    ]),
  ]),
]

const assertSafe = (directory: string): void => {
  assert.match(directory, /^[A-Za-z0-9_%-][A-Za-z0-9._%~-]*$/)
  assert.ok(directory.length <= 255, directory)
}

test('a hostile name becomes one safe path element of its own', () => {
  assert.ok(CORPUS.length >= 300, `${CORPUS.length}`)
  const directories = new Map<string, string>()
  for (const name of CORPUS) {
    const directory = encodeDirectoryName(name)
    assertSafe(directory)
    assert.equal(directories.get(directory), undefined, JSON.stringify(name))
    directories.set(directory, name)
    const decoded = decodeDirectoryName(directory)
    if (decoded.kind === 'hashed') assert.ok(name.length > 60)
    else assert.deepEqual(decoded, { kind: 'stream', name })
  }
})

test('a plain name is its own directory name, as in Go Liftbridge', () => {
  for (const name of ['foo', 'Foo', 'a.b.c', '__cursors', '-x', '0', 'a'.repeat(255)]) {
    assert.equal(encodeDirectoryName(name), name)
  }
  assert.equal(encodeDirectoryName('a/b'), 'a%2Fb')
  assert.equal(encodeDirectoryName('..'), '%2E.')
})

test('a directory name that the encoding does not produce belongs to no stream', () => {
  const foreign = [
    '',
    '.',
    '..',
    '.deleted',
    '%41',
    '%2f',
    '%2',
    'a b',
    'é',
    '%2E%2E',
    '%FF',
    'a/b',
  ]
  for (const name of foreign) assert.deepEqual(decodeDirectoryName(name), { kind: 'foreign' }, name)
  assert.deepEqual(decodeDirectoryName('a'.repeat(256)), { kind: 'foreign' })
})

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.string({ unit: fc.constantFrom('.', '/', '%', '2', 'E', '~', 'a', 'é'), maxLength: 30 }),
  fc.string({ unit: fc.constantFrom('a', '/', '.'), minLength: 110, maxLength: 300 }),
)

test('encoding is injective, safe and reversible for any text', () => {
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const [left, right] = [encodeDirectoryName(a), encodeDirectoryName(b)]
      assertSafe(left)
      assert.equal(left === right, a === b)
      const decoded = decodeDirectoryName(left)
      if (decoded.kind !== 'hashed') assert.deepEqual(decoded, { kind: 'stream', name: a })
    }),
    { numRuns: 1000 },
  )
})

test('any directory name decodes to the one text that encodes to it, or is foreign', () => {
  fc.assert(
    fc.property(texts, (directory) => {
      const decoded = decodeDirectoryName(directory)
      if (decoded.kind === 'stream') assert.equal(encodeDirectoryName(decoded.name), directory)
    }),
    { numRuns: 1000 },
  )
})

test('SHA-256 agrees with the standard library at every length around the block size', () => {
  for (let length = 0; length < 200; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff)
    assert.equal(sha256Hex(bytes), createHash('sha256').update(bytes).digest('hex'))
  }
})
