import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { BlockCoverage } from './coverage.ts'
import { fuzz } from './engine.ts'
import type { FuzzTarget } from './target.ts'

const coverage = new BlockCoverage((url) => url.includes('/fuzz/planted.ts'))
after(() => coverage.close())

// Loaded after coverage has begun: only then does V8 count blocks in it.
const planted = await import('./planted.ts')

const target: FuzzTarget = {
  name: 'planted: a bug behind four bytes',
  seeds: [Uint8Array.of(1, 2, 3)],
  run: planted.behindFourBytes,
}

test('a bug behind four magic bytes, one after another, is found and shrunk to them', async () => {
  const outcome = await fuzz(target, { executions: 300_000, seed: 1, coverage })
  assert.equal(outcome.failures.length, 1)
  assert.ok(outcome.corpus >= 4)
  assert.deepEqual([...(outcome.failures[0]?.smallest ?? [])], [...Buffer.from('LIFT')])
})

test('a seed gives the same run again', async () => {
  const runs = []
  for (let run = 0; run < 2; run++) {
    const inputs: string[] = []
    const note = (input: Uint8Array): void => void inputs.push(Buffer.from(input).toString('hex'))
    await fuzz({ ...target, run: () => {} }, { executions: 2000, seed: 7, coverage, note })
    runs.push(inputs.join(' '))
  }
  assert.equal(runs[0], runs[1])
})

test('a rejected promise is a failure too', async () => {
  const run = async (bytes: Uint8Array): Promise<void> => {
    await Promise.resolve()
    if (bytes.length > 5) throw new Error(`too long: ${bytes.length}`)
  }
  const outcome = await fuzz({ ...target, run }, { executions: 5000, seed: 1, coverage })
  assert.equal(outcome.failures.length, 1)
  assert.deepEqual([...(outcome.failures[0]?.smallest ?? [])], [0, 0, 0, 0, 0, 0])
})

test('nothing is reported of a target that keeps its promise', async () => {
  const outcome = await fuzz({ ...target, run: () => {} }, { executions: 5000, seed: 1, coverage })
  assert.equal(outcome.executions >= 5000, true)
  assert.deepEqual(outcome.failures, [])
})

test('a run whose time is over ends between two batches, and says how far it came', async () => {
  const run = (): void => {}
  const endless = { executions: Infinity, budgetMs: 0, seed: 1, coverage }
  const outcome = await fuzz({ ...target, run }, endless)
  assert.equal(outcome.executions, 1 + target.seeds.length)
})

test('seeds stay as they were given, Buffers too', async () => {
  const seed = Buffer.from('a well-formed input')
  const inputs = new Set<string>()
  const run = (bytes: Uint8Array): void => void inputs.add(Buffer.from(bytes).toString('hex'))
  await fuzz({ ...target, seeds: [seed], run }, { executions: 2000, seed: 1, coverage })
  assert.equal(seed.toString(), 'a well-formed input')
  assert.ok(inputs.size > 1000)
})
