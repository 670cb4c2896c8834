import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { silentLogger } from '../logging/logger.ts'
import { configOf, run } from '../running-server.suite.ts'
import { startServer } from '../server.ts'

test('a server whose identity file was garbled into another id does not start as a stranger [D-59]', async (t) => {
  const first = await run(t)
  const { directory, server } = first
  await first.client.create('s')
  await first.client.publish('s', 'kept')
  await server.stop()
  const file = `${directory}/liftbridge`
  const sound = readFileSync(file)
  const garbled = Buffer.from(sound)
  const last = garbled.length - 1
  garbled[last] = garbled[last] === 0x41 ? 0x42 : 0x41
  writeFileSync(file, garbled)
  const start = startServer({ config: configOf(directory), logger: silentLogger, version: 'test' })
  await assert.rejects(start, (error: Error) => {
    assert.ok(
      error.message.includes(`clustering.server.id set to ${server.serverId}`),
      error.message,
    )
    return true
  })
  writeFileSync(file, sound)
  const again = await run(t, { directory })
  assert.deepEqual(await again.client.values('s'), ['kept'])
})
