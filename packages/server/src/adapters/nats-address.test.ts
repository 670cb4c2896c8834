import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNatsServers } from './nats-address.ts'
import { redactor } from './nats-errors.ts'

test('addresses are host and port, the login is apart', () => {
  assert.deepEqual(parseNatsServers(['nats://localhost:4300', 'localhost', '10.0.0.1:5']), {
    servers: ['localhost:4300', 'localhost:4222', '10.0.0.1:5'],
    login: { kind: 'none' },
    tls: false,
  })
  assert.deepEqual(parseNatsServers(['nats://u%40x:12%3A34@[::1]:4300', 'tls://h']), {
    servers: ['[::1]:4300', 'h:4222'],
    login: { kind: 'password', user: 'u@x', password: '12:34' },
    tls: true,
  })
  assert.deepEqual(parseNatsServers(['nats://tok@h']).login, { kind: 'token', token: 'tok' })
})

test('a bad address is refused without showing it', () => {
  const bad = [
    ['http://u:secret@h'],
    ['nats://u:secret@h:notaport'],
    ['nats://'],
    [''],
    [],
    ['nats://u:secret@a', 'nats://u:other-secret@b'],
  ]
  for (const servers of bad) {
    assert.throws(
      () => parseNatsServers(servers),
      (error: Error) => {
        assert.doesNotMatch(error.message, /secret/)
        return true
      },
    )
  }
})

test('secrets are taken out of texts', () => {
  const redact = redactor({ kind: 'password', user: 'u', password: 'hunter2' })
  assert.equal(redact('dial nats://u:hunter2@h:1 with hunter2'), 'dial nats://h:1 with ***')
})
