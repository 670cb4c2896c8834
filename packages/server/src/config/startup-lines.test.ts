import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './load.ts'
import { humanDuration, humanSize, retentionText, startupLines } from './startup-lines.ts'

function linesOf(env: Record<string, string>): readonly string[] {
  const loaded = loadConfig({ argv: [], env, version: 'test' })
  assert.ok(loaded.kind === 'config')
  return startupLines(loaded.config, 'OoVo48CniWsjYzlgGtKLB6', 'v1.2.3')
}

test('the start-up lines have the labels and columns users know [LB control-plane 6.5]', () => {
  assert.deepEqual(linesOf({}), [
    'Liftbridge Version:        v1.2.3',
    'Server ID:                 OoVo48CniWsjYzlgGtKLB6',
    'Namespace:                 liftbridge-default',
    'NATS Servers:              [nats://127.0.0.1:4222]',
    'Default Retention Policy:  [Age: 1 week, Compact: false]',
    'Default Partition Pausing: disabled',
  ])
})

test('several NATS servers are listed as Go lists them, without their user parts [A6]', () => {
  const [, , , servers] = linesOf({ LIFTBRIDGE_NATS_SERVERS: 'nats://u:p@a:1 nats://b:2' })
  assert.equal(servers, 'NATS Servers:              [nats://***@a:1 nats://b:2]')
})

test('an idle time before pausing is spelt out', () => {
  const [, , , , , pausing] = linesOf({ LIFTBRIDGE_STREAMS_AUTO_PAUSE_TIME: '90s' })
  assert.equal(pausing, 'Default Partition Pausing: 1 minute 30 seconds')
})

test('the retention policy names its limits in a fixed order', () => {
  const text = (maxMessages: number, maxBytes: number, maxAgeMs: number, enabled = false) =>
    retentionText({
      retention: { maxMessages, maxBytes, maxAgeMs },
      compact: { enabled, maxConcurrent: 10 },
    })
  assert.equal(text(0, 0, 0), '[no limits, Compact: false]')
  assert.equal(text(1000, 0, 0, true), '[Messages: 1,000, Compact: true]')
  assert.equal(
    text(1_234_567, 2 ** 30, 86_400_000),
    '[Messages: 1,234,567, Size: 1.0 GiB, Age: 1 day, Compact: false]',
  )
})

test('sizes are rounded as Liftbridge rounds them', () => {
  assert.equal(humanSize(12), '12 B')
  assert.equal(humanSize(10_000), '9.8 KiB')
  assert.equal(humanSize(2 ** 20 * 256), '256 MiB')
  assert.equal(humanSize(2 ** 30), '1.0 GiB')
})

test('durations name every unit that is not zero', () => {
  assert.equal(humanDuration(604_800_000), '1 week')
  assert.equal(humanDuration(129_600_000), '1 day 12 hours')
  assert.equal(humanDuration(0.5), '500 microseconds')
  assert.equal(humanDuration(2 * 365 * 86_400_000), '2 years')
})
