import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameSlicer } from './frames-in.ts'
import { encodeFrame, encodeFrames, FRAME_PREFIX_BYTES, writeFramePrefix } from './frames-out.ts'
import { messageAt, messagesOf } from './message-chunk.ts'
import { GrpcError, GrpcStatus } from './status.ts'

const RUNS = Number(process.env['GRPC_PROPERTY_RUNS'] ?? 200)

function slice(reads: readonly Uint8Array[], maxMessageBytes = 1 << 22): Buffer[] {
  const messages: Buffer[] = []
  const slicer = new FrameSlicer({
    maxMessageBytes,
    onChunk: (chunk) => {
      assert.equal(chunk.count, chunk.starts.length)
      assert.equal(chunk.count, chunk.ends.length)
      assert.ok(chunk.count > 0)
      for (const message of messagesOf(chunk)) messages.push(Buffer.from(message))
    },
  })
  for (const read of reads) slicer.push(read)
  slicer.end()
  return messages
}

/** Cuts `bytes` at the given points, each taken modulo the length. */
function cutAt(bytes: Uint8Array, points: readonly number[]): Uint8Array[] {
  const cuts = points.map((p) => p % (bytes.length + 1)).sort((a, b) => a - b)
  return [0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length))
}

test('messages survive any cut of the stream into reads', () => {
  const size = fc.oneof(fc.nat(40), fc.nat(3000), fc.constant(70_000), fc.constant(200_000))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(size, fc.nat(255)), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (shapes, points) => {
        const messages = shapes.map(([length, fill]) => Buffer.alloc(length, fill))
        const got = slice(cutAt(encodeFrames(messages), points))
        assert.equal(got.length, messages.length)
        messages.forEach((message, i) =>
          assert.ok(message.equals(got[i] ?? Buffer.from('missing'))),
        )
      },
    ),
    { numRuns: RUNS },
  )
})

test('one byte at a time costs linear time', () => {
  const bytes = encodeFrame(Buffer.alloc(300_000, 5))
  const slicer = new FrameSlicer({ maxMessageBytes: 1 << 20, onChunk: () => undefined })
  const started = performance.now()
  for (let i = 0; i < bytes.length; i++) slicer.push(bytes.subarray(i, i + 1))
  slicer.end()
  // Copying the carry for every byte would move 45 GB here.
  assert.ok(performance.now() - started < 2000)
})

test('a message within one read is a view, not a copy', () => {
  const read = encodeFrames([Buffer.from('one'), Buffer.from('two')])
  const views: Uint8Array[] = []
  new FrameSlicer({
    maxMessageBytes: 100,
    onChunk: (chunk) => views.push(messageAt(chunk, 1)),
  }).push(read)
  read[FRAME_PREFIX_BYTES + 3 + FRAME_PREFIX_BYTES] = 0x54
  assert.equal(Buffer.from(views[0] ?? []).toString(), 'Two')
})

test('the limit is enforced at the prefix, and what came before is delivered', () => {
  const seen: number[] = []
  const slicer = new FrameSlicer({ maxMessageBytes: 10, onChunk: (c) => seen.push(c.count) })
  const prefix = Buffer.alloc(FRAME_PREFIX_BYTES)
  writeFramePrefix(prefix, 0, 11)
  assert.throws(
    () => slicer.push(Buffer.concat([encodeFrame(Buffer.alloc(10)), prefix])),
    (error: unknown) =>
      error instanceof GrpcError &&
      error.code === GrpcStatus.RESOURCE_EXHAUSTED &&
      error.message === 'grpc: received message larger than max (11 vs. 10)',
  )
  assert.deepEqual(seen, [1])
})

test('a length with the highest bit set is a large length, not a negative one', () => {
  const slicer = new FrameSlicer({ maxMessageBytes: 10, onChunk: () => undefined })
  assert.throws(
    () => slicer.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])),
    /larger than max \(4294967295 vs\. 10\)/,
  )
})

test('an end inside a prefix or a message is an error', () => {
  for (const cut of [1, 4, 5, 7]) {
    assert.throws(() => slice([encodeFrame(Buffer.alloc(3)).subarray(0, cut)]), /unexpected EOF/)
  }
})

test('any bytes give messages or a GrpcError, and the carry never exceeds what came', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (reads) => {
      let held = 0
      const slicer = new FrameSlicer({ maxMessageBytes: 40, onChunk: () => undefined })
      try {
        for (const read of reads) {
          held += read.length
          slicer.push(read)
          assert.ok(slicer.carriedBytes <= held)
          assert.ok(slicer.carriedBytes < 40 + FRAME_PREFIX_BYTES)
        }
        slicer.end()
      } catch (error) {
        assert.ok(error instanceof GrpcError)
      }
    }),
    { numRuns: RUNS },
  )
})
