import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, openFixture } from './fixture.suite.ts'
import { TailCache } from './tail-cache.ts'

const KIB = 1024
/** Four records fill a chunk of the largest size. */
const LARGE = 60 * KIB

const value = (index: number): string => String(index).padEnd(LARGE, `${index % 10}`)

test('a block that a reader holds is not overwritten, however much is appended meanwhile', async () => {
  const { log } = await openFixture({ tails: new TailCache({ maxBytes: 512 * KIB }) })
  for (let index = 0; index < 20; index++) await append(log, [value(index)])
  log.advanceHighWatermark(log.newestOffset)
  const reader = log.reader({ from: 17, until: 'committed' })
  const block = await reader.next({ maxBytes: 1 })
  assert.ok(block.kind === 'block')
  const before = Buffer.from(block.bytes.subarray(block.start, block.end))
  for (let index = 20; index < 80; index++) await append(log, [value(index)])
  assert.ok(before.equals(block.bytes.subarray(block.start, block.end)))
  reader.close()
  for (let index = 80; index < 140; index++) await append(log, [value(index)])
  assert.ok(before.equals(block.bytes.subarray(block.start, block.end)), 'nor after close')
  await log.close()
})

test('memory of chunks that nobody holds is used again, and readers still see what was written', async () => {
  const { log } = await openFixture({ tails: new TailCache({ maxBytes: 1024 * KIB }) })
  const reader = log.reader({ from: 0, until: 'committed' })
  const memory = new Set<ArrayBufferLike>()
  let seen = 0
  for (let index = 0; index < 400; index++) {
    const offset = await append(log, [value(index)])
    log.advanceHighWatermark(offset)
    const block = reader.tryNext()
    assert.ok(block, 'the tail serves what was just written')
    assert.equal(block.firstOffset, index)
    assert.ok(Buffer.from(block.bytes.subarray(block.start, block.end)).includes(value(index)))
    if (block.bytes.length === 256 * KIB) memory.add(block.bytes.buffer)
    seen += block.count
  }
  assert.equal(seen, 400)
  assert.ok(memory.size <= 8, `${memory.size} buffers for a hundred chunks`)
  reader.close()
  await log.close()
})
