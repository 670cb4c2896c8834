import { FieldReader, WireType } from './field-reader.ts'
import { HeaderList } from './header-list.ts'
import { isUtf8 } from './text.ts'

/** What a field means to a publish. Text is checked to be UTF-8, even where it is ignored. */
export const Role = {
  Unknown: 0,
  Key: 1,
  Value: 2,
  Stream: 3,
  Subject: 4,
  AckInbox: 5,
  CorrelationId: 6,
  Headers: 7,
  IgnoredText: 8,
  Partition: 9,
  AckPolicy: 10,
  ExpectedOffset: 11,
  IgnoredNumber: 12,
} as const

const reader = new FieldReader()
const NOTHING = new Uint8Array()

/**
 * A message to publish, read in place: positions into `bytes`, valid while those bytes are. One
 * view is reused for any number of messages. `decodePublishRequest`, `decodePublishToSubject` and
 * `decodePublishMessage` fill it.
 *
 * Absent parts: key and value start at -1, since absent and empty differ in a stored record;
 * texts are empty, numbers 0. A field that comes twice counts as its last occurrence.
 */
export class PublishView {
  bytes: Uint8Array = NOTHING
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  streamStart = 0
  streamEnd = 0
  subjectStart = 0
  subjectEnd = 0
  ackInboxStart = 0
  ackInboxEnd = 0
  correlationIdStart = 0
  correlationIdEnd = 0
  partition = 0
  /** 0 LEADER, 1 ALL, 2 NONE; any other number is kept as it came. */
  ackPolicy = 0
  /** A safe integer; what exceeds one is the nearest, which no offset reaches. */
  expectedOffset = 0
  readonly headers: HeaderList = new HeaderList()
  /** Why the last decoding failed. */
  problem = ''

  /**
   * Decodes `bytes[start, end)` with the meaning that `roles` gives to field numbers. False when
   * it is malformed; the fields then hold nothing of use. Never throws.
   */
  decode(roles: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
    this.#reset(bytes)
    if (start < 0 || end > bytes.length || start > end) return this.#fail('out of bounds')
    reader.open(bytes, start, end)
    while (reader.at < end) {
      const tag = reader.readTag()
      if (tag === 0) return this.#fail('malformed tag')
      const field = tag >>> 3
      const role = field < roles.length ? (roles[field] as number) : Role.Unknown
      if (role === Role.Unknown) {
        if (!reader.skip(tag & 7)) return this.#fail('malformed unknown field')
      } else if (role >= Role.Partition) {
        if ((tag & 7) !== WireType.Varint) return this.#fail('wrong wire type')
        if (!reader.readVarint()) return this.#fail('malformed number')
        this.#takeNumber(role)
      } else {
        if ((tag & 7) !== WireType.Bytes) return this.#fail('wrong wire type')
        const length = reader.readLength()
        if (length < 0) return this.#fail('malformed length')
        reader.at += length
        if (!this.#takeBytes(role, reader.at - length, reader.at)) return false
      }
    }
    return true
  }

  #takeNumber(role: number): void {
    if (role === Role.Partition) this.partition = reader.int32
    else if (role === Role.AckPolicy) this.ackPolicy = reader.int32
    else if (role === Role.ExpectedOffset) this.expectedOffset = reader.int64
  }

  #takeBytes(role: number, start: number, end: number): boolean {
    if (role === Role.Key) {
      this.keyStart = start
      this.keyEnd = end
    } else if (role === Role.Value) {
      this.valueStart = start
      this.valueEnd = end
    } else if (role === Role.Headers) {
      if (!this.#takeHeader(start, end)) return this.#fail('malformed header')
    } else {
      if (!isUtf8(this.bytes, start, end)) return this.#fail('text is not UTF-8')
      this.#takeText(role, start, end)
    }
    return true
  }

  #takeText(role: number, start: number, end: number): void {
    if (role === Role.Stream) {
      this.streamStart = start
      this.streamEnd = end
    } else if (role === Role.Subject) {
      this.subjectStart = start
      this.subjectEnd = end
    } else if (role === Role.AckInbox) {
      this.ackInboxStart = start
      this.ackInboxEnd = end
    } else if (role === Role.CorrelationId) {
      this.correlationIdStart = start
      this.correlationIdEnd = end
    }
  }

  /** One entry of the map: `0A key, 12 value`, each of which may be missing and is then empty. */
  #takeHeader(start: number, end: number): boolean {
    const outerEnd = reader.end
    let keyStart = start
    let keyEnd = start
    let valueStart = start
    let valueEnd = start
    reader.open(this.bytes, start, end)
    while (reader.at < end) {
      const tag = reader.readTag()
      if (tag === 0) return false
      const field = tag >>> 3
      if (field > 2) {
        if (!reader.skip(tag & 7)) return false
        continue
      }
      if ((tag & 7) !== WireType.Bytes) return false
      const length = reader.readLength()
      if (length < 0) return false
      const from = reader.at
      reader.at += length
      if (field === 1) {
        // Also the one that a later key of the entry replaces.
        if (!isUtf8(this.bytes, from, reader.at)) return false
        keyStart = from
        keyEnd = reader.at
      } else {
        valueStart = from
        valueEnd = reader.at
      }
    }
    this.headers.put(keyStart, keyEnd, valueStart, valueEnd)
    reader.end = outerEnd
    return true
  }

  #fail(problem: string): false {
    this.problem = problem
    return false
  }

  #reset(bytes: Uint8Array): void {
    this.bytes = bytes
    this.headers.reset(bytes)
    this.keyStart = -1
    this.keyEnd = -1
    this.valueStart = -1
    this.valueEnd = -1
    this.streamStart = 0
    this.streamEnd = 0
    this.subjectStart = 0
    this.subjectEnd = 0
    this.ackInboxStart = 0
    this.ackInboxEnd = 0
    this.correlationIdStart = 0
    this.correlationIdEnd = 0
    this.partition = 0
    this.ackPolicy = 0
    this.expectedOffset = 0
    this.problem = ''
  }
}
