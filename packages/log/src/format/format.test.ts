import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeHighWatermark, encodeHighWatermark } from '../checkpoint.ts'
import { decodeEpochs, encodeEpochs, LeaderEpochs } from '../leader-epochs.ts'
import { parseSegmentName, segmentStem } from '../segment.ts'
import { timestampHigh, timestampLow, timestampFromWords } from '../units.ts'
import { crc32c } from './crc32c.ts'
import { INDEX_ENTRY_SIZE, isPadding, readIndexEntry } from './index-entry.ts'
import { RecordBatch, type RecordSource, storedSize } from './record-batch.ts'
import { HEADER_KEY_TOO_LONG, recordTimestamp, RecordView, walkHeaders } from './record.ts'
import { Scan } from './scan.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/[\s|]/g, ''), 'hex')

const NS = 1_700_000_000_000_000_000n
const time = (ns: bigint): { high: number; low: number } => ({
  high: timestampHigh(ns),
  low: timestampLow(ns),
})

const EXAMPLE_A = hex(`
  00 00 00 00 00 00 00 2A  17 97 9C FE 36 2A 00 00  00 00 00 00 00 00 00 07  00 00 00 27
  91 C3 F3 38  01 00  00 00 00 02 6B 31  00 00 00 05 68 65 6C 6C 6F  00 01
  00 07 73 75 62 6A 65 63 74  00 00 00 03 66 6F 6F`)
const EXAMPLE_B = hex(`
  0000000000000000 0000000000000001 0000000000000001 00000010 | AEE6ED8C 01 00 FFFFFFFF FFFFFFFF 0000`)
const EXAMPLE_C = hex(`
  0000000000000000 17979CFE362A0000 0000000000000007 0000001C | F09174F4 01 00 FFFFFFFF 00000001 61 0001 0005 7265706C79 00000000
  0000000000000001 17979CFE362A0001 0000000000000007 00000012 | 893A241E 01 00 FFFFFFFF 00000002 6263 0000`)

function encoded(batch: RecordBatch): Buffer {
  return Buffer.from(batch.bytes.slice(0, batch.byteLength))
}

test('CRC-32C gives the check value, and the same as a bit-by-bit twin for any range', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  const twin = (bytes: Uint8Array): number => {
    let crc = 0xffffffff
    for (const byte of bytes) {
      crc ^= byte
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    }
    return (crc ^ 0xffffffff) >>> 0
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(20), (bytes, from) => {
      const start = Math.min(from, bytes.length)
      assert.equal(crc32c(bytes, start), twin(bytes.subarray(start)))
    }),
  )
})

test('golden record A: key, value and one header', () => {
  const batch = new RecordBatch()
  const headers = [['subject', Buffer.from('foo')]] as const
  batch.addRecord({ key: Buffer.from('k1'), value: Buffer.from('hello'), headers })
  batch.stamp(42, time(NS), 7)
  assert.deepEqual(encoded(batch), EXAMPLE_A)
  const view = new RecordView()
  assert.ok(view.load(EXAMPLE_A, 0))
  assert.deepEqual(
    [view.offset, view.leaderEpoch, view.headerCount, view.end],
    [42, 7, 1, EXAMPLE_A.length],
  )
  assert.equal(recordTimestamp(EXAMPLE_A, 0), NS)
  assert.equal(EXAMPLE_A.toString('latin1', view.keyStart, view.keyEnd), 'k1')
  assert.equal(EXAMPLE_A.toString('latin1', view.valueStart, view.valueEnd), 'hello')
})

test('golden record B: the smallest record has null key, null value and no headers', () => {
  const batch = new RecordBatch()
  batch.addRecord({})
  batch.stamp(0, time(1n), 1)
  assert.deepEqual(encoded(batch), EXAMPLE_B)
  assert.equal(storedSize({ keySize: -1, valueSize: -1, headersSize: 0 }), EXAMPLE_B.length)
  const view = new RecordView()
  assert.ok(view.load(EXAMPLE_B, 0))
  assert.deepEqual([view.keyStart, view.valueStart], [-1, -1])
})

test('golden records C: two records back to back', () => {
  const batch = new RecordBatch()
  batch.addRecord({ value: Buffer.from('a'), headers: [['reply', Buffer.alloc(0)]] })
  batch.stamp(0, time(NS), 7)
  const first = encoded(batch)
  batch.clear()
  batch.addRecord({ value: Buffer.from('bc') })
  batch.stamp(1, time(NS + 1n), 7)
  assert.deepEqual(Buffer.concat([first, encoded(batch)]), EXAMPLE_C)
  const scan = new Scan()
  scan.run(new DataView(EXAMPLE_C.buffer, EXAMPLE_C.byteOffset, EXAMPLE_C.length), {
    start: 0,
    end: EXAMPLE_C.length,
    minOffset: 0,
    limit: 10,
    maxBytes: 1000,
    verify: true,
    dense: true,
  })
  assert.deepEqual([scan.stop, scan.count, scan.lastOffset, scan.end], ['end', 2, 1, 102])
})

test('golden index entries name relative offset, time, position and size', () => {
  const entry = readIndexEntry(hex('00000002 17979CFE362A0000 00000087 0000003F'), 0)
  assert.deepEqual(entry, { relativeOffset: 2, timestampNs: NS, position: 135, size: 63 })
  assert.ok(isPadding(readIndexEntry(Buffer.alloc(INDEX_ENTRY_SIZE), 0)))
  assert.ok(!isPadding(readIndexEntry(hex('00000000 00000000 00000000 00000000 0000002C'), 0)))
})

test('golden epoch file: version, count, one entry a line', () => {
  const entries = [
    { epoch: 7, start: -1 },
    { epoch: 12, start: 0 },
  ]
  assert.equal(encodeEpochs(entries), '0\n2\n7 -1\n12 0\n')
  assert.deepEqual(decodeEpochs(Buffer.from('0\n2\n7 -1\n12 0\n')), entries)
  assert.deepEqual(decodeEpochs(Buffer.from('0 2 7 -1   12\t0')), entries)
})

test('an epoch file that Go Liftbridge would refuse is no epoch file', () => {
  for (const text of [
    '',
    '0',
    '1\n0\n',
    '0\n1\n',
    '0\n1\n7\n',
    '0\n2\n7 0\n',
    '0\n2\n7 0\n7 1\n',
    '0\n2\n7 5\n8 4\n',
    '0\nx\n',
    '0\n1\n7 0x1\n',
    '0\n1\n7 99999999999999999999\n',
    '\0\0\0\0',
  ]) {
    assert.equal(decodeEpochs(Buffer.from(text)), undefined, JSON.stringify(text))
  }
})

test('the high watermark file is the number and nothing else', () => {
  for (const offset of [-1, 0, 41, Number.MAX_SAFE_INTEGER]) {
    assert.equal(decodeHighWatermark(encodeHighWatermark(offset)), offset)
  }
  assert.equal(Buffer.from(encodeHighWatermark(41)).toString(), '41')
  for (const text of ['', '41\n', ' 41', '-2', '4e1', '99999999999999999999', '\0\0']) {
    assert.equal(decodeHighWatermark(Buffer.from(text)), undefined, JSON.stringify(text))
  }
})

test('segments are named by their base offset in 20 digits', () => {
  assert.equal(segmentStem(42), '00000000000000000042')
  assert.equal(parseSegmentName('00000000000000000042.log'), 42)
  for (const name of [
    '42.log',
    '00000000000000000042.index',
    '99999999999999999999.log',
    'x.log',
  ]) {
    assert.equal(parseSegmentName(name), undefined, name)
  }
})

test('timestamps survive the two words they are stored in', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (ns) => {
      assert.equal(timestampFromWords(timestampHigh(ns), timestampLow(ns)), ns)
    }),
  )
})

test('what a batch encodes, a view reads back, for any key, value and headers', () => {
  const part = fc.option(fc.uint8Array({ maxLength: 60 }), { nil: null })
  const header = fc.tuple(fc.string({ maxLength: 8 }), fc.uint8Array({ maxLength: 8 }))
  const record = fc.record({ key: part, value: part, headers: fc.array(header, { maxLength: 3 }) })
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
      const batch = new RecordBatch()
      for (const each of records) assert.equal(batch.add(sourceOf(each)), undefined)
      batch.stamp(5, time(9n), 3)
      const view = new RecordView()
      let at = 0
      for (const [i, { key, value, headers }] of records.entries()) {
        assert.equal(batch.recordStart(i), at)
        assert.ok(view.load(batch.bytes, at))
        const slice = (start: number, end: number): Uint8Array | null =>
          start < 0 ? null : new Uint8Array(batch.bytes.slice(start, end))
        assert.equal(view.offset, 5 + i)
        assert.deepEqual(slice(view.keyStart, view.keyEnd), key)
        assert.deepEqual(slice(view.valueStart, view.valueEnd), value)
        assert.equal(view.headerCount, headers.length)
        assert.equal(view.end - at, batch.recordSize(i))
        at = view.end
      }
      assert.equal(at, batch.byteLength)
    }),
  )
})

/** The hot path's way in, with the value in a buffer of its own every other time. */
function sourceOf(record: {
  key: Uint8Array | null
  value: Uint8Array | null
  headers: [string, Uint8Array][]
}): RecordSource {
  const { key, value, headers } = record
  const keyBytes = key ?? new Uint8Array(0)
  const valueBytes = value ?? new Uint8Array(0)
  const stored = Buffer.concat(
    headers.flatMap(([name, content]) => {
      const lengths = Buffer.alloc(6)
      lengths.writeUInt16BE(Buffer.byteLength(name))
      lengths.writeUInt32BE(content.length, 2)
      return [lengths.subarray(0, 2), Buffer.from(name), lengths.subarray(2), content]
    }),
  )
  const together = Buffer.concat([Buffer.from('x'), keyBytes, valueBytes])
  const inside = valueBytes.length % 2 === 0
  const valueAt = inside ? 1 + keyBytes.length : 0
  return {
    bytes: together,
    keyStart: key === null ? -1 : 1,
    keyEnd: 1 + keyBytes.length,
    valueStart: value === null ? -1 : valueAt,
    valueEnd: valueAt + valueBytes.length,
    valueBytes: inside ? undefined : valueBytes,
    headerCount: headers.length,
    headers: Buffer.concat([Buffer.from('pad'), stored]),
    headersStart: 3,
    headersEnd: 3 + stored.length,
  }
}

test('a header key of 32,768 bytes is refused by value, and one of 32,767 is stored [G6]', () => {
  const batch = new RecordBatch()
  const value = Buffer.alloc(0)
  const tooLong = 'k'.repeat(32_768)
  assert.equal(batch.addRecord({ headers: [[tooLong, value]] }), 'header-key-too-long')
  const stored = Buffer.alloc(2 + 32_768 + 4)
  stored.writeUInt16BE(32_768)
  assert.equal(walkHeaders(stored, 0, stored.length), HEADER_KEY_TOO_LONG)
  const source = { ...sourceOf({ key: null, value: null, headers: [] }), headers: stored }
  const whole = { ...source, headerCount: 1, headersStart: 0, headersEnd: stored.length }
  assert.equal(batch.add(whole), 'header-key-too-long')
  assert.equal(batch.count, 0)
  assert.equal(batch.addRecord({ headers: [[tooLong.slice(1), value]] }), undefined)
})

test('more than 32,767 headers are refused by value [G6]', () => {
  const batch = new RecordBatch()
  const header = ['', Buffer.alloc(0)] as const
  assert.equal(batch.addRecord({ headers: Array(32_768).fill(header) }), 'too-many-headers')
  assert.equal(batch.addRecord({ headers: Array(32_767).fill(header) }), undefined)
})

test('headers that are not what they claim to be are refused', () => {
  const batch = new RecordBatch()
  const source = sourceOf({ key: null, value: null, headers: [['a', Buffer.from('b')]] })
  assert.equal(batch.add({ ...source, headerCount: 2 }), 'bad-headers')
  assert.equal(batch.add({ ...source, headersEnd: source.headersEnd - 1 }), 'bad-headers')
  assert.equal(batch.add({ ...source, headerCount: 0 }), 'bad-headers')
})

test('a record larger than the limit, or than the room left, is refused and the batch unchanged', () => {
  const batch = new RecordBatch({ maxBytes: 200, maxRecordBytes: 144 })
  assert.equal(batch.addRecord({ value: Buffer.alloc(101) }), 'too-large')
  assert.equal(batch.addRecord({ value: Buffer.alloc(100) }), undefined)
  const before = encoded(batch)
  assert.equal(batch.addRecord({ value: Buffer.alloc(100) }), 'batch-full')
  assert.deepEqual(encoded(batch), before)
  batch.clear()
  assert.equal(batch.addRecord({ value: Buffer.alloc(100) }), undefined)
})

test('dropping records from a batch leaves the others as if they alone had been added', () => {
  const masks = fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.boolean()), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(masks, (records) => {
      const all = new RecordBatch()
      const some = new RecordBatch()
      for (const [value, keep] of records) {
        all.addRecord({ value })
        if (keep) some.addRecord({ value })
      }
      all.keepOnly(Uint8Array.from(records, ([, keep]) => (keep ? 1 : 0)))
      all.stamp(0, time(1n), 1)
      some.stamp(0, time(1n), 1)
      assert.equal(all.count, some.count)
      assert.deepEqual(encoded(all), encoded(some))
    }),
  )
})

test('epoch look-ups answer with the largest epoch not above and its end [KIP-279]', () => {
  const epochs = new LeaderEpochs()
  assert.deepEqual(epochs.endOf(5, 0), { epoch: -1, endOffset: 0 })
  assert.ok(epochs.assign(1, 0))
  assert.ok(epochs.assign(2, 5))
  assert.ok(epochs.assign(3, 10))
  assert.ok(!epochs.assign(3, 12), 'the same epoch begins once')
  assert.ok(!epochs.assign(4, 9), 'starts do not fall')
  assert.deepEqual(
    [0, 1, 2, 3, 9].map((epoch) => epochs.endOf(epoch, 15)),
    [
      { epoch: -1, endOffset: 0 },
      { epoch: 1, endOffset: 5 },
      { epoch: 2, endOffset: 10 },
      { epoch: 3, endOffset: 15 },
      { epoch: 3, endOffset: 15 },
    ],
  )
  assert.ok(epochs.truncate(7))
  assert.deepEqual(
    epochs.entries.map(({ epoch }) => epoch),
    [1, 2],
  )
  assert.ok(epochs.advanceStart(6))
  assert.deepEqual(epochs.entries, [{ epoch: 2, start: 6 }])
})
