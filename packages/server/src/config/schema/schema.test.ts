import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseValue } from '../parse-value.ts'
import { toConfig } from '../config.ts'
import { editDistance, environmentName, lookUp, nearestKeys, specs, type Values } from './schema.ts'

test('every default of the table is a valid value of its key', () => {
  for (const [key, spec] of specs) {
    if (spec.default === undefined) continue
    const parsed = parseValue(spec, { kind: 'text', text: spec.default })
    assert.equal(parsed.kind, 'ok', key)
  }
})

test('every key without a default says what it means to leave it unset', () => {
  for (const [key, spec] of specs) {
    assert.equal(spec.default === undefined, spec.unset !== undefined, key)
  }
})

test('the parser returns, for each type of the table, the type that the table promises', () => {
  const promised: Record<string, string> = {
    boolean: 'boolean',
    integer: 'number',
    size: 'number',
    duration: 'number',
    list: 'object',
  }
  for (const [key, spec] of specs) {
    if (spec.default === undefined) continue
    const parsed = parseValue(spec, { kind: 'text', text: spec.default })
    assert.ok(parsed.kind === 'ok')
    assert.equal(typeof parsed.value, promised[spec.type] ?? 'string', key)
  }
})

test('names, older names and environment variables are unambiguous', () => {
  const names = [...specs].flatMap(([key, spec]) => [key, ...(spec.older ?? [])])
  assert.equal(new Set(names).size, names.length)
  const variables = names.map(environmentName)
  assert.equal(new Set(variables).size, variables.length)
})

test('every key has a place in the configuration', () => {
  const read = new Set<string>()
  const values = new Proxy({} as Values, {
    get(_, key) {
      read.add(String(key))
      const spec = (specs as ReadonlyMap<string, { type: string }>).get(String(key))
      return spec?.type === 'boolean' ? true : 'value'
    },
  })
  const address = { host: 'localhost', port: 0 }
  toConfig(values, { bind: address, advertised: address }, '/')
  // With a token the user is not looked at; the addresses, the folder and telemetry come apart.
  const elsewhere = ['listen', 'host', 'port', 'data.dir', 'nats.user', 'nats.password']
  const unread = [...specs.keys()].filter((key) => !read.has(key) && !elsewhere.includes(key))
  assert.deepEqual(unread, ['telemetry.enabled', 'telemetry.interval.seconds'])
})

test('older names lead to the keys of today, whatever their case', () => {
  assert.deepEqual(lookUp('log.level'), { kind: 'older', key: 'logging.level' })
  assert.deepEqual(lookUp('LOG.Retention.Max.Age'), {
    kind: 'older',
    key: 'streams.retention.max.age',
  })
  assert.deepEqual(lookUp('raft.logging'), { kind: 'older', key: 'logging.raft' })
  assert.deepEqual(lookUp('Logging.Level'), { kind: 'key', key: 'logging.level' })
  assert.deepEqual(lookUp('nats'), { kind: 'section' })
  assert.deepEqual(lookUp('nats.embedded'), { kind: 'key', key: 'nats.embedded' })
  assert.deepEqual(lookUp('__proto__'), { kind: 'unknown' })
})

test('a misspelt key is answered with the nearest ones', () => {
  assert.equal(nearestKeys('streams.retention.max.byte')[0], 'streams.retention.max.bytes')
  assert.equal(nearestKeys('retention.max.age')[0], 'streams.retention.max.age')
  assert.equal(nearestKeys('prot')[0], 'port')
  assert.deepEqual(nearestKeys('completely.different.thing'), [])
})

test('a slip in an older name is answered with the key of today', () => {
  assert.equal(nearestKeys('log.retention.max.agee')[0], 'streams.retention.max.age')
  assert.equal(nearestKeys('log.levle')[0], 'logging.level')
  assert.equal(nearestKeys('log.segment.max.byte')[0], 'streams.segment.max.bytes')
  assert.equal(editDistance('kitten', 'sitting'), 3)
})
