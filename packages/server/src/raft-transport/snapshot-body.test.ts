import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { answerTo, hashOf, Held, noise, outcome, snapshotOf } from './calls.suite.ts'
import { STREAM_WINDOW_BYTES } from './limits.ts'
import { append, BareClient, nobody, turns, until, World } from './raft-transport.suite.ts'
import type { SnapshotBody } from './snapshot-body.ts'

let world: World

beforeEach(() => {
  world = new World()
})

afterEach(() => world.close())

describe('a snapshot', () => {
  const size = 20_000_001

  test('of 20 MB arrives whole, and no more of it than the window is ever under way', async () => {
    let hash = ''
    let sent = 0
    let ahead = 0
    world.transport('b', async (_, request, body) => {
      if (body === undefined) return answerTo(request)
      let read = 0
      hash = await hashOf(
        (async function* () {
          for await (const part of body) {
            read += part.length
            ahead = Math.max(ahead, sent - read)
            yield part
          }
        })(),
      )
      assert.equal(read, body.size)
      return answerTo(request)
    })
    const a = world.transport('a', nobody)
    const counted = (function* () {
      for (const piece of noise(size)) {
        sent += piece.length
        yield piece
      }
    })()
    const response = await a.sendSnapshot('b', snapshotOf(size), counted)
    assert.deepEqual(response, { kind: 'install-snapshot', term: 3, success: true })
    assert.equal(hash, await hashOf(noise(size)))
    assert.ok(ahead <= STREAM_WINDOW_BYTES + 70_001, `${ahead} bytes under way`)
    // The stream is fit for more.
    assert.equal((await a.send('b', { kind: 'timeout-now' })).kind, 'timeout-now')
    assert.equal(a.streams.dialed, 1)
  })

  test('that is refused at once is passed over, and the stream goes on', async () => {
    let refusals = 0
    world.transport('b', (_, request) => {
      if (request.kind !== 'install-snapshot') return Promise.resolve(answerTo(request))
      refusals++
      return refusals === 1
        ? Promise.reject(new Error('no room'))
        : Promise.resolve({ kind: 'install-snapshot', term: 9, success: false })
    })
    const a = world.transport('a', nobody)
    await assert.rejects(a.sendSnapshot('b', snapshotOf(5_000_000), noise(5_000_000)), {
      code: 'remote',
      message: 'no room',
    })
    assert.equal((await a.sendSnapshot('b', snapshotOf(100), noise(100))).term, 9)
    assert.equal((await a.send('b', { kind: 'timeout-now' })).kind, 'timeout-now')
    assert.equal(a.streams.dialed, 1)
  })

  test('of no bytes is one, too', async () => {
    world.transport('b', async (_, request, body) => {
      assert.equal(await hashOf(body ?? []), await hashOf([]))
      return answerTo(request)
    })
    const a = world.transport('a', nobody)
    assert.equal((await a.sendSnapshot('b', snapshotOf(0), [])).success, true)
  })

  test('read in part only is passed over to its end', async () => {
    world.transport('b', async (_, request, body) => {
      for await (const part of body ?? []) if (part.length > 0) break
      return answerTo(request)
    })
    const a = world.transport('a', nobody)
    for (let again = 0; again < 2; again++) {
      assert.equal((await a.sendSnapshot('b', snapshotOf(900_000), noise(900_000))).success, true)
    }
    assert.deepEqual(world.problems, [])
  })

  for (const [name, told] of [
    ['more', 99],
    ['fewer', 101],
  ] as const) {
    test(`of ${name} bytes than were told fails on both sides, alone`, async () => {
      let failure: unknown
      world.transport('b', async (_, request, body) => {
        try {
          await hashOf(body ?? [])
        } catch (error) {
          failure = error
          throw error
        }
        return answerTo(request)
      })
      const a = world.transport('a', nobody)
      const call = a.sendSnapshot('b', snapshotOf(told), noise(100))
      await assert.rejects(call, { code: 'closed', message: /is not of/ })
      await until(() => failure !== undefined)
      assert.equal(Reflect.get(Object(failure), 'code'), 'closed')
      assert.equal((await a.sendSnapshot('b', snapshotOf(100), noise(100))).success, true)
    })
  }

  test('whose source fails, fails', async () => {
    world.transport('b', async (_, request, body) => {
      await hashOf(body ?? [])
      return answerTo(request)
    })
    const a = world.transport('a', nobody)
    const broken = (async function* () {
      yield* noise(10)
      await Promise.resolve()
      throw new Error('bad sector')
    })()
    await assert.rejects(a.sendSnapshot('b', snapshotOf(100), broken), { message: /bad sector/ })
    await until(() => a.streams.dialed === 0)
  })

  test('from a Go leader, which heeds no window, arrives whole', async () => {
    let hash = ''
    world.transport('b', async (_, request, body: SnapshotBody | undefined) => {
      if (body) hash = await hashOf(body)
      return answerTo(request)
    })
    const client = new BareClient(world.bus())
    await client.dial('b')
    client.request(snapshotOf(size))
    for (const piece of noise(size)) client.send(piece)
    client.request(append(4))
    await until(() => client.replies('install-snapshot', 'append-entries')[1] !== undefined)
    assert.equal(hash, await hashOf(noise(size)))
  })

  test('has two seconds for its answer for each 256 KiB', async () => {
    const held = new Held()
    world.transport('b', async (from, request, body) => {
      await body?.drain()
      return held.handler(from, request)
    })
    const a = world.transport('a', nobody)
    const sized = 3 * 256 * 1024
    const call = outcome(a.sendSnapshot('b', snapshotOf(sized), noise(sized)))
    await until(() => held.asked.length === 1)
    await turns()
    world.clock.advance(3 * 2000 - 1)
    await turns()
    assert.equal(a.streams.dialed, 1)
    world.clock.advance(1)
    assert.equal(await call, 'timeout')
  })
})
