import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fromByteString,
  hasWildcard,
  isLiteralSubject,
  isValidSubject,
  toByteString,
} from './subject.ts'

const LITERAL = [
  'a',
  'a.b',
  'a.b.c',
  'A-_$#',
  'a>',
  'a*',
  '*a.b',
  '>>',
  'a.>b',
  '**',
  'é.ü',
  '_INBOX.x.1',
]
const WILDCARD = ['*', '>', 'a.*', 'a.>', '*.a', 'a.*.b', '*.*', '*.>']
const INVALID = [
  '',
  '.',
  'a.',
  '.a',
  'a..b',
  '>.a',
  'a.>.b',
  'a b',
  'a\tb',
  'a\r',
  'a\n',
  ' a',
  'a. .b',
  'a\vb',
  'a\fb',
]

test('a literal subject is valid and has no wildcard', () => {
  for (const subject of LITERAL) {
    assert.ok(isValidSubject(subject), subject)
    assert.ok(isLiteralSubject(subject), subject)
    assert.ok(!hasWildcard(subject), subject)
  }
})

test('a wildcard is valid to subscribe to and not to publish to', () => {
  for (const subject of WILDCARD) {
    assert.ok(isValidSubject(subject), subject)
    assert.ok(!isLiteralSubject(subject), subject)
    assert.ok(hasWildcard(subject), subject)
  }
})

test('empty tokens, whitespace and > before the end are invalid', () => {
  for (const subject of INVALID) {
    assert.ok(!isValidSubject(subject), JSON.stringify(subject))
    assert.ok(!isLiteralSubject(subject), JSON.stringify(subject))
  }
})

test('text and byte strings convert into each other', () => {
  assert.equal(toByteString('abc'), 'abc')
  assert.equal(toByteString('é'), '\xc3\xa9')
  for (const text of ['abc', 'é', '日本', '😀.x'])
    assert.equal(fromByteString(toByteString(text)), text)
})
