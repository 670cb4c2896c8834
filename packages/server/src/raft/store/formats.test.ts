import assert from 'node:assert/strict'
import test from 'node:test'
import type { Entry, Suffrage } from '@liftbridge/raft'
import fc from 'fast-check'
import { crc64 } from './crc64.ts'
import { parseHardState, sealHardState } from './hard-state-file.ts'
import { crcOf, decodeMeta, encodeMeta, parseSnapshotId, snapshotId } from './snapshot-meta.ts'
import { decodeEntry, encodeEntry } from './stored-entry.ts'

const plain = { noNullPrototype: true } as const

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

const suffrage = fc.constantFrom<Suffrage>('voter', 'non-voter', 'staging')
const member = fc.record({ id: fc.string(), address: fc.string(), suffrage }, plain)
const configuration = fc.record({ servers: fc.array(member, { maxLength: 5 }) }, plain)
const position = {
  index: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  term: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
}
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('command' as const),
      ...position,
      data: fc.uint8Array(),
      appendedAtNs: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    },
    plain,
  ),
  fc.record({ kind: fc.constantFrom('noop' as const, 'barrier' as const), ...position }, plain),
  fc.record({ kind: fc.constant('configuration' as const), ...position, configuration }, plain),
)

test('the checksum of a snapshot is the CRC-64 of ECMA-182 as xz computes it', () => {
  assert.equal(Buffer.from(crc64(bytesOf('123456789'))).toString('hex'), '995dc9bbdf1939fa')
  assert.equal(Buffer.from(crc64(bytesOf(''))).toString('hex'), '0000000000000000')
  assert.equal(crcOf(bytesOf('123456789')), 'mV3Ju98ZOfo=')
})

test('every entry comes back as it was stored', () => {
  fc.assert(
    fc.property(entry, (written) => {
      assert.deepEqual(decodeEntry(encodeEntry(written)), written)
    }),
  )
})

test('no bytes but an entry are taken for one, and none throw [B2]', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoded = decodeEntry(bytes)
      if (decoded !== undefined) assert.deepEqual(encodeEntry(decoded).length, bytes.length)
    }),
  )
})

test('the meta file of a snapshot has the keys of the original, and one line', () => {
  const meta = {
    id: '2-10-1700000000123',
    position: {
      index: 10,
      term: 2,
      configuration: { servers: [{ id: 'a', address: 'a', suffrage: 'voter' as const }] },
      configurationIndex: 1,
    },
    sizeBytes: 9,
    crc: crcOf(bytesOf('123456789')),
  }
  const text = new TextDecoder().decode(encodeMeta(meta))
  assert.equal(
    text.replace(/,"Seal":"[0-9a-f]{8}"/, ''),
    '{"Version":1,"ID":"2-10-1700000000123","Index":10,"Term":2,"Peers":null,' +
      '"Configuration":{"Servers":[{"Suffrage":0,"ID":"a","Address":"a"}]},' +
      '"ConfigurationIndex":1,"Size":9,"CRC":"mV3Ju98ZOfo="}\n',
  )
  assert.deepEqual(decodeMeta(bytesOf(text)), meta)
})

test('snapshots are named by term, index and time', () => {
  assert.equal(snapshotId({ term: 2, index: 10 }, 1_700_000_000_123), '2-10-1700000000123')
  assert.deepEqual(parseSnapshotId('2-10-17'), { term: 2, index: 10, wallMs: 17 })
  for (const other of ['2-10', '2-10-17.tmp', 'a-b-c', '', '2-10-99999999999999999']) {
    assert.equal(parseSnapshotId(other), undefined, other)
  }
})

test('term and vote are read as they were written; other text is refused, sealed or not [M6]', () => {
  assert.deepEqual(parseHardState(sealHardState('2 -')), { term: 2, votedFor: undefined })
  assert.deepEqual(parseHardState(sealHardState('2 =a%20b')), { term: 2, votedFor: 'a b' })
  for (const other of ['', '2', '2 a', '2 =%', '2 =%ff', '-1 -', '99999999999999999 -']) {
    assert.equal(parseHardState(sealHardState(other)), undefined, other)
  }
  assert.equal(parseHardState('2 - 00000000\n'), undefined)
})
