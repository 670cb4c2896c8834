import assert from 'node:assert/strict'
import test from 'node:test'
import { api, create } from '@liftbridge/wire'
import { applyOperation } from './operations/table.ts'
import { MetadataState } from './state.ts'
import { effectiveConfig, type StreamDefaults } from './stream-config.ts'
import {
  checkDeleteStream,
  parseCreateStream,
  planCreateStream,
  selectPartitions,
  type StreamRequest,
} from './stream-requests.ts'

const limits = { maxPartitionsPerStream: 100, maxPartitions: 150 }
const context = { namespace: 'ns', limits }

const defaults: StreamDefaults = {
  retentionMaxBytes: 0,
  retentionMaxMessages: 0,
  retentionMaxAgeMs: 604_800_000,
  cleanerIntervalMs: 300_000,
  segmentMaxBytes: 268_435_456,
  segmentMaxAgeMs: 604_800_000,
  compactMaxGoroutines: 10,
  compactEnabled: false,
  autoPauseTimeMs: 0,
  autoPauseDisableIfSubscribers: false,
  minIsr: 2,
  optimisticConcurrencyControl: false,
  encryption: false,
}

type Init = Parameters<typeof create<typeof api.CreateStreamRequestSchema>>[1]

const parse = (init: Init) =>
  parseCreateStream(
    create(api.CreateStreamRequestSchema, { name: 'foo', subject: 'foo', ...init }),
    context,
  )

const refusal = (init: Init): string => {
  const parsed = parse(init)
  return parsed.kind === 'rejected' ? `${parsed.status} ${parsed.text}` : 'ok'
}

const accepted = (init: Init): StreamRequest => {
  const parsed = parse(init)
  assert.ok(parsed.kind === 'ok', parsed.kind === 'rejected' ? parsed.text : '')
  return parsed.stream
}

test('what a request leaves out has its default', () => {
  assert.deepEqual(accepted({}), {
    name: 'foo',
    subject: 'foo',
    group: '',
    partitions: 1,
    replicationFactor: 1,
    config: {},
  })
})

test('the golden refusals of CreateStream, in their order', () => {
  assert.equal(refusal({ name: '', subject: '' }), 'INVALID_ARGUMENT Name cannot be empty')
  for (const subject of ['', 'a..b', '.a', 'a.', 'a b', 'a\tb', 'a\r\nb', 'a.>.b']) {
    const invalid = 'INVALID_ARGUMENT Subject is invalid'
    assert.equal(refusal({ subject, name: '__cursors' }), invalid, JSON.stringify(subject))
  }
  for (const name of ['__cursors', '__activity']) {
    assert.equal(refusal({ name }), 'INVALID_ARGUMENT Stream is reserved')
    assert.equal(checkDeleteStream(name).kind, 'rejected')
  }
  assert.match(refusal({ partitions: -1 }), /^INVALID_ARGUMENT Invalid partitions -1$/)
  assert.match(refusal({ partitions: 101 }), /^INVALID_ARGUMENT .*at most 100/)
  assert.match(refusal({ partitions: 2 ** 31 - 1 }), /^INVALID_ARGUMENT .*at most 100/)
  assert.match(refusal({ partitions: -(2 ** 31) }), /^INVALID_ARGUMENT /)
})

test('any literal NATS subject is a name, and nothing else is [A3, D-14]', () => {
  for (const name of ['a/b', 'a.b', '日本', '/x', '%2e', 'a*b', '-', 'x'.repeat(255)]) {
    assert.equal(accepted({ name }).name, name)
  }
  const bad = ['..', 'a..b', 'a.', '.a', '*', 'a.*', '>', 'a b', 'a\0b', '\ud800', 'x'.repeat(256)]
  for (const name of bad) {
    const text = refusal({ name })
    assert.match(text, /^INVALID_ARGUMENT Name is invalid: /, JSON.stringify(name))
  }
})

test('a stream cannot listen to what servers say, wildcards counted [A4]', () => {
  const internal = ['ns.x', 'ns.>', '>', '*.x', 'ns.*', '$SYS.>', '$JS.API.x', '_INBOX.>', '*.*']
  for (const subject of internal) {
    assert.equal(refusal({ subject }), 'INVALID_ARGUMENT Subject is invalid', subject)
  }
  for (const subject of ['a.>', 'foo.*', 'foo.*.bar', 'ns', 'nsx.a', 'a.ns.b']) {
    assert.equal(accepted({ subject }).subject, subject)
  }
  // Partition n would listen to foo.>.n, which NATS refuses by closing the connection [LB 7.F8].
  assert.equal(refusal({ subject: 'foo.>', partitions: 2 }), 'INVALID_ARGUMENT Subject is invalid')
})

test('a group is one word', () => {
  assert.equal(accepted({ group: 'my-group' }).group, 'my-group')
  for (const group of ['two words', 'a\r\nPUB x 1', 'x'.repeat(256), '\ud800']) {
    assert.match(refusal({ group }), /^INVALID_ARGUMENT Group is invalid: /)
  }
})

test('negative settings are refused by name, huge ones mean without limit [LB 7.F3]', () => {
  const value = -1n
  assert.equal(
    refusal({ cleanerInterval: { value } }),
    'INVALID_ARGUMENT Invalid cleanerInterval -1',
  )
  for (const name of ['retentionMaxBytes', 'retentionMaxMessages', 'segmentMaxBytes'] as const) {
    assert.equal(refusal({ [name]: { value } }), `INVALID_ARGUMENT Invalid ${name} -1`)
  }
  for (const name of ['retentionMaxAge', 'segmentMaxAge', 'autoPauseTime'] as const) {
    assert.equal(refusal({ [name]: { value } }), `INVALID_ARGUMENT Invalid ${name} -1`)
  }
  assert.equal(refusal({ minIsr: { value: -1 } }), 'INVALID_ARGUMENT Invalid minIsr -1')
  const { config } = accepted({ retentionMaxBytes: { value: 2n ** 63n - 1n } })
  assert.equal(config.retentionMaxBytes, Number.MAX_SAFE_INTEGER)
})

test('an absent setting inherits, a present zero is zero', () => {
  const { config } = accepted({
    retentionMaxAge: { value: 0n },
    compactEnabled: { value: true },
    minIsr: { value: 1 },
  })
  assert.deepEqual(config, { retentionMaxAgeMs: 0, compactEnabled: true, minIsr: 1 })
  const effective = effectiveConfig(config, { ...defaults, compactMaxGoroutines: 4 })
  assert.deepEqual(effective, {
    ...defaults,
    compactMaxGoroutines: 4,
    retentionMaxAgeMs: 0,
    compactEnabled: true,
    minIsr: 1,
  })
})

test('where zero or a giant has no meaning, the effective setting is one that has', () => {
  const zero = { segmentMaxBytes: 0, cleanerIntervalMs: 0, minIsr: 0 }
  const effective = effectiveConfig(zero, defaults)
  assert.equal(effective.segmentMaxBytes, 1_073_741_824)
  assert.equal(effective.cleanerIntervalMs, 300_000)
  assert.equal(effective.minIsr, 1)
  const giant = Number.MAX_SAFE_INTEGER
  const bounded = effectiveConfig(
    { segmentMaxBytes: giant, cleanerIntervalMs: giant, autoPauseTimeMs: giant },
    defaults,
  )
  assert.equal(bounded.segmentMaxBytes, 2_147_483_647)
  assert.equal(bounded.cleanerIntervalMs, 2_147_483_647)
  assert.equal(bounded.autoPauseTimeMs, 2_147_483_647)
})

test('a plan pins what replicas must agree on and applies as it is [D-63]', () => {
  const state = new MetadataState()
  const planned = planCreateStream(state, accepted({ partitions: 3 }), {
    servers: [{ id: 'a', alive: true }],
    defaults,
    limits,
    nowNs: 5n,
  })
  assert.ok(planned.kind === 'ok')
  const { config, creationTimestampNs, partitions } = planned.operation.stream
  assert.deepEqual(config, {
    minIsr: 2,
    optimisticConcurrencyControl: false,
    encryption: false,
    compactEnabled: defaults.compactEnabled,
  })
  assert.equal(creationTimestampNs, 5n)
  assert.equal(partitions.length, 3)
  assert.equal(applyOperation(state, planned.operation, 1).kind, 'applied')
})

test('the cluster’s partitions are bounded, and a taken name is told before that', () => {
  const state = new MetadataState()
  const servers = [{ id: 'a', alive: true }]
  const plan = (name: string) =>
    planCreateStream(state, accepted({ name, partitions: 100 }), {
      servers,
      defaults,
      limits,
      nowNs: 5n,
    })
  const first = plan('foo')
  assert.ok(first.kind === 'ok')
  applyOperation(state, first.operation, 1)
  const second = plan('bar')
  assert.equal(second.kind === 'rejected' && second.status, 'RESOURCE_EXHAUSTED')
  assert.equal(plan('foo').kind, 'ok')
})

test('a request for partitions means those listed, or all', () => {
  const state = new MetadataState()
  const planned = planCreateStream(state, accepted({ partitions: 3 }), {
    servers: [{ id: 'a', alive: true }],
    defaults,
    limits,
    nowNs: 5n,
  })
  assert.ok(planned.kind === 'ok')
  applyOperation(state, planned.operation, 1)
  const select = (name: string, listed: readonly number[]) => {
    const selected = selectPartitions(state, name, listed)
    return selected.kind === 'ok' ? selected.partitions : `${selected.status} ${selected.text}`
  }
  assert.deepEqual(select('foo', []), [0, 1, 2])
  assert.deepEqual(select('foo', [2, 0, 2]), [2, 0])
  assert.equal(select('foo', [3]), 'NOT_FOUND partition does not exist')
  assert.equal(select('foo', [-1]), 'NOT_FOUND partition does not exist')
  assert.equal(select('bar', []), 'NOT_FOUND stream not found')
  assert.equal(select('bar', [0]), 'NOT_FOUND stream does not exist')
})
