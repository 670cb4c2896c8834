import assert from 'node:assert/strict'
import test from 'node:test'
import type { MetadataAnswer } from '@liftbridge/metadata'
import { silentLogger } from '../logging/logger.ts'
import { VirtualClock } from '../replication/virtual-time.suite.ts'
import { indexToCatchUpWith } from './catch-up.ts'

const GONE: MetadataAnswer = { kind: 'rejected', status: 'INTERNAL', text: 'not connected to NATS' }

test('refusals that come at once are not asked for again without a pause', async () => {
  const clock = new VirtualClock()
  let asked = 0
  let isConnected = false
  const submit = async (): Promise<MetadataAnswer> => {
    // A loop of promises alone would never let the test go on.
    if (++asked > 100) throw new Error('it asks for ever')
    return isConnected ? { kind: 'done', index: 7 } : GONE
  }
  const waiting = indexToCatchUpWith({
    submit,
    obstacle: () => '',
    ended: () => undefined,
    clock,
    logger: silentLogger,
  })
  await clock.pass(2_000)
  assert.ok(asked >= 2 && asked <= 10, `asked ${asked} times in two seconds`)
  isConnected = true
  await clock.pass(1_000)
  assert.equal(await waiting, 7)
})

test('a server that is stopped does not wait for the metadata any longer', async () => {
  const clock = new VirtualClock()
  let isStopping = false
  const waiting = indexToCatchUpWith({
    submit: async () => GONE,
    obstacle: () => 'no leader',
    ended: () => (isStopping ? 'the server was stopped' : undefined),
    clock,
    logger: silentLogger,
  })
  await clock.pass(100)
  isStopping = true
  const stopped = assert.rejects(waiting, /the server was stopped/)
  await clock.pass(1_000)
  await stopped
})
