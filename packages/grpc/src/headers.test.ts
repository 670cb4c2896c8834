import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeHealthRequest,
  decodeHealthResponse,
  encodeHealthRequest,
  encodeHealthResponse,
  ServingStatus,
} from './health-codec.ts'
import { Metadata } from './metadata.ts'
import { percentDecode, percentEncode } from './percent.ts'
import {
  GrpcError,
  GrpcStatus,
  statusFromHttp,
  statusFromReset,
  statusFromWire,
  statusName,
} from './status.ts'
import { formatTimeout, parseTimeout } from './timeout.ts'
import { TokenBucket } from './token-bucket.ts'
import { receivedStatus, statusTrailers } from './trailers.ts'

test('every text survives percent coding, and travels as printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const wire = percentEncode(text)
      assert.match(wire, /^[\x20-\x7e]*$/)
      assert.equal(percentDecode(wire), text)
    }),
  )
})

test('percent decoding never fails and leaves broken escapes as they are', () => {
  assert.equal(percentDecode('100%'), '100%')
  assert.equal(percentDecode('%4'), '%4')
  assert.equal(percentDecode('%zz%41'), '%zzA')
  assert.equal(percentDecode('%e2%86%92'), '→')
  assert.equal(percentDecode('%ff'), '\ufffd')
  fc.assert(fc.property(fc.string(), (text) => typeof percentDecode(text) === 'string'))
})

test('grpc-timeout takes 1 to 8 digits and a unit, nothing else', () => {
  assert.equal(parseTimeout('1H'), 3_600_000)
  assert.equal(parseTimeout('2M'), 120_000)
  assert.equal(parseTimeout('3S'), 3000)
  assert.equal(parseTimeout('4m'), 4)
  assert.equal(parseTimeout('5000u'), 5)
  assert.equal(parseTimeout('99999999n'), 99.999999)
  assert.equal(parseTimeout('00000000n'), 0)
  assert.equal(parseTimeout('99999999H'), 99_999_999 * 3_600_000)
  for (const bad of [
    '',
    'S',
    '1',
    '1s',
    '-1S',
    '+1S',
    '1.5S',
    ' 1S',
    '1S ',
    '100000000n',
    '1SS',
    '１S',
  ]) {
    assert.equal(parseTimeout(bad), undefined, bad)
  }
})

test('a timeout is sent in at most 8 digits, never shorter than asked, and close to it', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e14, noNaN: true }), (ms) => {
      const wire = formatTimeout(ms)
      const back = parseTimeout(wire)
      assert.notEqual(back, undefined, wire)
      assert.ok((back ?? 0) >= ms * (1 - 1e-11), `${ms} became ${wire}`)
      assert.ok((back ?? 0) <= ms * 1.00002 + 1e-6, `${ms} became ${wire}`)
    }),
  )
  assert.equal(formatTimeout(-5), '0n')
  assert.equal(formatTimeout(1e300), '99999999H')
})

test('binary metadata survives, padded or not, joined or not', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1 }), (values) => {
      const sent = new Metadata()
      for (const value of values) sent.append('X-Bin', value)
      const headers: Record<string, string | string[]> = {}
      sent.writeTo(headers)
      const joined = [headers['x-bin'] ?? ''].flat().join(', ')
      const padded = values.map((value) => Buffer.from(value).toString('base64')).join(',')
      for (const wire of [joined, padded]) {
        const got = Metadata.fromHeaders({ 'x-bin': wire }).getAllBinary('x-bin')
        assert.deepEqual(
          got.map((b) => [...b]),
          values.map((b) => [...b]),
        )
      }
    }),
  )
})

test('what is not base64 is INTERNAL when asked for, and only then', () => {
  const metadata = Metadata.fromHeaders({ 'x-bin': '**', ok: 'fine' })
  assert.equal(metadata.get('ok'), 'fine')
  assert.throws(
    () => metadata.getBinary('x-bin'),
    (e: unknown) => e instanceof GrpcError && e.code === GrpcStatus.INTERNAL,
  )
})

test('names of HTTP/2 and gRPC are neither shown nor taken', () => {
  const metadata = Metadata.fromHeaders({
    ':path': '/x',
    'grpc-timeout': '1S',
    te: 'trailers',
    'content-type': 'application/grpc',
    authorization: 'Bearer x',
    'user-agent': 'test',
  })
  assert.deepEqual(metadata.names(), ['authorization', 'user-agent'])
  for (const name of [':status', 'grpc-status', 'TE', 'Connection', 'has space', '', 'ü']) {
    assert.throws(() => new Metadata().set(name, 'x'), TypeError, name)
  }
})

test('values that could split a header are refused', () => {
  for (const value of ['a\r\nb', 'a\nb', '\0', 'ü']) {
    assert.throws(() => new Metadata().set('x', value), TypeError)
  }
  assert.throws(() => new Metadata().set('x', Uint8Array.of(1)), TypeError)
  assert.throws(() => new Metadata().set('x-bin', 'text'), TypeError)
})

test('metadata can be replaced, added to and deleted', () => {
  const metadata = Metadata.fromHeaders({ a: '1' })
  metadata.append('a', '2')
  assert.deepEqual(metadata.getAll('A'), ['1', '2'])
  metadata.set('a', '3')
  assert.equal(metadata.get('a'), '3')
  metadata.delete('a')
  assert.equal(metadata.get('a'), undefined)
  assert.equal(metadata.isEmpty, true)
})

test('every code and text comes back from trailers', () => {
  for (const [name, code] of Object.entries(GrpcStatus)) {
    const got = receivedStatus(statusTrailers(code, `é ${name}`, []) as Record<string, string>)
    assert.deepEqual([got?.code, got?.message], [code, `é ${name}`])
    assert.equal(statusName(code), name)
  }
})

test('a code that gRPC does not know is UNKNOWN, and no code is no status', () => {
  for (const bad of ['17', '99', '-1', 'x', '', '1.0', '0x1']) {
    assert.equal(statusFromWire(bad), GrpcStatus.UNKNOWN, bad)
  }
  assert.equal(receivedStatus({}), undefined)
})

test('HTTP and HTTP/2 codes map as the gRPC project says', () => {
  const http = [400, 401, 403, 404, 429, 502, 503, 504, 500].map(statusFromHttp)
  assert.deepEqual(http, [13, 16, 7, 12, 14, 14, 14, 14, 2])
  assert.deepEqual([0, 1, 7, 8, 11, 12].map(statusFromReset), [13, 13, 14, 1, 8, 7])
})

test('health messages survive, unknown fields are skipped, broken ones are INTERNAL', () => {
  for (const name of ['', 'proto.API', 'é'.repeat(100)]) {
    assert.equal(decodeHealthRequest(encodeHealthRequest(name)), name)
  }
  for (const status of Object.values(ServingStatus)) {
    assert.equal(decodeHealthResponse(encodeHealthResponse(status)), status)
  }
  assert.equal(decodeHealthRequest(Buffer.from([0x10, 5, 0x0a, 1, 0x61, 0x1a, 2, 1, 2])), 'a')
  for (const bad of [
    [0x0a],
    [0x0a, 5, 1],
    [0x0a, 1, 0xff],
    [0x0b],
    [0x00, 0x00],
    [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
  ]) {
    assert.throws(
      () => decodeHealthRequest(Uint8Array.from(bad)),
      /grpc: error unmarshalling request/,
      String(bad),
    )
  }
})

test('a token bucket allows its burst, then its rate', () => {
  const bucket = new TokenBucket(3, 10, 0)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take(1, 0)),
    [true, true, true, false],
  )
  assert.equal(bucket.take(1, 200), true)
  assert.equal(bucket.take(1, 200), false)
  assert.equal(bucket.take(3, 100_000), true)
})
