import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from './config.ts'
import { loadConfig } from './load.ts'
import { diffForReload, reloadedConfig } from './reload.ts'

function configOf(env: Record<string, string>): Config {
  const loaded = loadConfig({ argv: [], env, version: 'test' })
  assert.ok(loaded.kind === 'config')
  return loaded.config
}

const running = configOf({})
const changed = configOf({
  LIFTBRIDGE_LOGGING_LEVEL: 'debug',
  LIFTBRIDGE_BATCH_MAX_MESSAGES: '10',
  LIFTBRIDGE_STREAMS_RETENTION_MAX_AGE: '1h',
  LIFTBRIDGE_PORT: '9999',
  LIFTBRIDGE_DATA_DIR: '/elsewhere',
})

test('an unchanged configuration has nothing to reload', () => {
  assert.deepEqual(diffForReload(running, configOf({})), { applied: [], needsRestart: [] })
})

test('a reload tells what takes effect from what needs a restart', () => {
  assert.deepEqual(diffForReload(running, changed), {
    applied: ['logging.level', 'batch.max.messages', 'streams.retention.max.age'],
    needsRestart: ['port', 'data.dir'],
  })
})

test('a reloaded configuration takes the former and keeps the latter', () => {
  const reloaded = reloadedConfig(running, changed)
  assert.equal(reloaded.logging.level, 'debug')
  assert.equal(reloaded.batch.maxMessages, 10)
  assert.equal(reloaded.streams.retention.maxAgeMs, 3_600_000)
  assert.equal(reloaded.bind.port, 9292)
  assert.equal(reloaded.dataDir, running.dataDir)
  // What still waits for a restart is still reported the next time.
  assert.deepEqual(diffForReload(reloaded, changed).needsRestart, ['port', 'data.dir'])
  assert.deepEqual(diffForReload(reloaded, changed).applied, [])
})
