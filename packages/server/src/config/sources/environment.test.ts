import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from './environment.ts'

const read = (environment: Record<string, string>) => {
  const { settings, warnings } = readEnvironment(environment)
  return { settings: settings.map((setting) => [setting.name, setting.written]), warnings }
}

test('a key is found with underscores and with its dots kept', () => {
  for (const name of ['LIFTBRIDGE_LOGGING_LEVEL', 'LIFTBRIDGE_LOGGING.LEVEL']) {
    assert.deepEqual(read({ [name]: 'debug' }), {
      settings: [['logging.level', { kind: 'text', text: 'debug' }]],
      warnings: [],
    })
  }
})

test('an older name is found in both spellings, too', () => {
  for (const name of ['LIFTBRIDGE_LOG_LEVEL', 'LIFTBRIDGE_LOG.LEVEL']) {
    assert.equal(read({ [name]: 'debug' }).settings[0]?.[0], 'log.level')
  }
})

test('empty variables and those of others are left alone', () => {
  assert.deepEqual(read({ LIFTBRIDGE_HOST: '', LIFTBRIDGE_PORT: '  ', HOST: 'a', PORT: '1' }), {
    settings: [],
    warnings: [],
  })
})

test('the port that Kubernetes injects is ignored with a warning [D-60]', () => {
  const { settings, warnings } = read({ LIFTBRIDGE_PORT: 'tcp://10.0.0.1:9292' })
  assert.deepEqual(settings, [])
  assert.match(warnings.join(), /LIFTBRIDGE_PORT is ignored.*Kubernetes/)
  assert.equal(read({ LIFTBRIDGE_PORT: '9300' }).settings.length, 1)
})

test('the rest of what Kubernetes injects is ignored in silence [D-60]', () => {
  const injected = {
    LIFTBRIDGE_SERVICE_HOST: '10.0.0.1',
    LIFTBRIDGE_SERVICE_PORT: '9292',
    LIFTBRIDGE_SERVICE_PORT_GRPC: '9292',
    LIFTBRIDGE_PORT_9292_TCP: 'tcp://10.0.0.1:9292',
    LIFTBRIDGE_PORT_9292_TCP_PROTO: 'tcp',
    LIFTBRIDGE_PORT_9292_TCP_PORT: '9292',
    LIFTBRIDGE_PORT_9292_TCP_ADDR: '10.0.0.1',
    LIFTBRIDGE_NATS_SERVICE_HOST: '10.0.0.2',
    LIFTBRIDGE_NATS_PORT: 'tcp://10.0.0.2:4222',
    LIFTBRIDGE_NATS_PORT_4222_TCP_ADDR: '10.0.0.2',
  }
  assert.deepEqual(read(injected), { settings: [], warnings: [] })
})

test('an unknown variable is reported by name, without its value', () => {
  const { warnings } = read({ LIFTBRIDGE_NATS_PASWORD: 'hunter2' })
  assert.equal(warnings.length, 1)
  assert.match(warnings.join(), /LIFTBRIDGE_NATS_PASWORD/)
  assert.doesNotMatch(warnings.join(), /hunter2/)
})

test('the variable of the encryption key is known and read elsewhere', () => {
  assert.deepEqual(read({ LIFTBRIDGE_ENCRYPTION_KEY: 'k' }), { settings: [], warnings: [] })
})

test('a variable named like a section does not hide the section [D-60]', () => {
  const { settings, warnings } = read({ LIFTBRIDGE_NATS: 'x', LIFTBRIDGE_NATS_USER: 'u' })
  assert.deepEqual(settings, [['nats.user', { kind: 'text', text: 'u' }]])
  assert.equal(warnings.length, 1)
})
