import assert from 'node:assert/strict'
import {
  decodeHealthRequest,
  encodeFrames,
  encodeHealthRequest,
  formatTimeout,
  FrameSlicer,
  GrpcError,
  messageAt,
  Metadata,
  parseTimeout,
  percentDecode,
  percentEncode,
} from '@liftbridge/grpc'
import type { FuzzTarget } from './target.ts'

const MAX_MESSAGE_BYTES = 512

/** All messages of the reads in one buffer with their lengths, and the fault that ended them. */
function slice(reads: readonly Uint8Array[]): { readonly messages: Uint8Array; fault: string } {
  const messages: Uint8Array[] = []
  const slicer = new FrameSlicer({
    maxMessageBytes: MAX_MESSAGE_BYTES,
    onChunk: (chunk) => {
      for (let i = 0; i < chunk.count; i++) messages.push(messageAt(chunk, i))
    },
  })
  let fault = ''
  try {
    for (const read of reads) {
      slicer.push(read)
      assert.ok(slicer.carriedBytes < MAX_MESSAGE_BYTES + 5)
    }
    slicer.end()
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error
    fault = error.message
  }
  return { messages: encodeFrames(messages), fault }
}

/** The first byte is the distance of the cuts; whole and cut must give the same. */
function runFrames(bytes: Uint8Array): void {
  const body = bytes.subarray(1)
  const step = 1 + ((bytes[0] ?? 0) % 61)
  const reads: Uint8Array[] = []
  for (let at = 0; at < body.length; at += step) reads.push(body.subarray(at, at + step))
  const whole = slice([body])
  const cut = slice(reads)
  assert.equal(cut.fault, whole.fault)
  assert.ok(Buffer.from(cut.messages).equals(whole.messages))
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function runTimeout(bytes: Uint8Array): void {
  const ms = parseTimeout(latin1(bytes))
  if (ms === undefined) return
  assert.ok(Number.isFinite(ms) && ms >= 0)
  const again = parseTimeout(formatTimeout(ms))
  assert.ok(again !== undefined && again >= ms * (1 - 1e-11) && again <= ms * 1.00002 + 1e-6)
}

function runMetadata(bytes: Uint8Array): void {
  const text = latin1(bytes)
  const metadata = Metadata.fromHeaders({ 'x-bin': text, 'grpc-status': text, x: text })
  assert.deepEqual(metadata.names(), ['x-bin', 'x'])
  assert.equal(metadata.get('x'), text)
  let values: readonly Uint8Array[]
  try {
    values = metadata.getAllBinary('x-bin')
  } catch (error) {
    if (error instanceof GrpcError) return
    throw error
  }
  const sent = new Metadata()
  for (const value of values) sent.append('x-bin', value)
  assert.deepEqual(sent.getAllBinary('x-bin'), values)
}

function runPercent(bytes: Uint8Array): void {
  const text = percentDecode(latin1(bytes))
  const wire = percentEncode(text)
  assert.match(wire, /^[\x20-\x7e]*$/)
  assert.equal(percentDecode(wire), text.toWellFormed())
}

function runHealth(bytes: Uint8Array): void {
  let service: string
  try {
    service = decodeHealthRequest(bytes)
  } catch (error) {
    if (error instanceof GrpcError) return
    throw error
  }
  assert.equal(decodeHealthRequest(encodeHealthRequest(service)), service)
}

const encoder = new TextEncoder()
const texts = (...values: readonly string[]): Uint8Array[] => values.map((v) => encoder.encode(v))

export const targets: readonly FuzzTarget[] = [
  {
    name: 'grpc: message frames, whole and cut',
    run: runFrames,
    seeds: [
      Buffer.concat([
        Buffer.from([3]),
        encodeFrames([encoder.encode('one'), new Uint8Array(0), new Uint8Array(300)]),
      ]),
      Buffer.from([7, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([7, 1, 0, 0, 0, 1, 9, 2, 0, 0, 0, 0]),
    ],
    dictionary: [
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 2, 0]),
      Buffer.from([1, 0, 0, 0]),
    ],
  },
  {
    name: 'grpc: grpc-timeout',
    run: runTimeout,
    seeds: texts('1S', '99999999H', '20m', '7u', '0n', '3M'),
    inputMaxBytes: 16,
  },
  {
    name: 'grpc: binary metadata',
    run: runMetadata,
    seeds: texts('AAEC', 'AAE=', 'AA==, AAEC', ''),
    dictionary: texts(',', '=', '==', ', '),
    inputMaxBytes: 256,
  },
  {
    name: 'grpc: percent coding of grpc-message',
    run: runPercent,
    seeds: texts('plain', '100%', '%e2%86%92', '%', '%4'),
    dictionary: texts('%25', '%c3%a9', '%ff', '%f0%9f%98%80'),
    inputMaxBytes: 256,
  },
  {
    name: 'grpc: health check request',
    run: runHealth,
    seeds: [
      encodeHealthRequest('proto.API'),
      new Uint8Array(0),
      Buffer.from([0x10, 5, 0x0a, 1, 97]),
    ],
    inputMaxBytes: 256,
  },
]
