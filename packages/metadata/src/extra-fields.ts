/**
 * Fields that Go Liftbridge's messages lack: what it forgets in snapshots, and the fences and
 * times its operations do not carry. They are ordinary protobuf fields with numbers from 100 up,
 * which its servers skip. They travel as unknown fields of the generated messages:
 *
 *     message                                          100                       101
 *     PauseStreamOp, ResumeStreamOp,
 *     SetStreamReadonlyOp                              timestamp: int64
 *     ShrinkISROp, ExpandISROp, ChangeLeaderOp         partitionEpoch: uint64
 *     ChangeConsumerGroupCoordinatorOp                 groupEpoch: uint64
 *     MetadataSnapshot                                 appliedIndex: uint64      lastPublishedActivityIndex: uint64
 *     Stream                                           incarnation: uint64       resumeAll: bool
 *     Partition                                        pauseTimestamps: message  readonlyTimestamps: message
 *     Consumer                                         assignments: repeated message
 *     ReportLeaderOp                                   reason: uint64               tailEpoch: uint64, 102: tailEnd: uint64
 *     PropagatedResponse                               index: uint64
 *
 * The embedded messages are the client API's PartitionEventTimestamps and PartitionAssignment.
 */
export interface WithExtraFields {
  $unknown?: ExtraField[] | undefined
}

/** One field as protobuf-es keeps it: `data` is the value without its tag. */
export interface ExtraField {
  readonly no: number
  readonly wireType: number
  readonly data: Uint8Array
}

const VARINT = 0
const LENGTH_DELIMITED = 2

/** Puts extra fields into a message. */
export const withExtraFields = <Message extends WithExtraFields>(
  message: Message,
  fields: ExtraField[],
): Message => {
  if (fields.length > 0) message.$unknown = fields
  return message
}

/** A number field; 0 is left out, as everywhere in proto3. Takes 0 .. 2^64 - 1. */
export const numberField = (no: number, value: bigint): ExtraField[] =>
  value === 0n ? [] : [{ no, wireType: VARINT, data: varint(value) }]

/** A message field; `bytes` is the encoded message. */
export const messageField = (no: number, bytes: Uint8Array): ExtraField => {
  const length = varint(BigInt(bytes.length))
  const data = new Uint8Array(length.length + bytes.length)
  data.set(length)
  data.set(bytes, length.length)
  return { no, wireType: LENGTH_DELIMITED, data }
}

/** The last value of a number field, 0n when there is none: proto3's rules. */
export const readNumber = (message: WithExtraFields, no: number): bigint => {
  let value = 0n
  for (const field of message.$unknown ?? []) {
    if (field.no === no && field.wireType === VARINT) value = readVarint(field.data).value
  }
  return value
}

/** A 64-bit number as a log index or epoch; undefined beyond 2^53 - 1, which no log reaches. */
export const toIndex = (value: bigint): number | undefined =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined

/** The encoded messages of a field, in order. */
export const readMessages = (message: WithExtraFields, no: number): readonly Uint8Array[] => {
  const found: Uint8Array[] = []
  for (const field of message.$unknown ?? []) {
    if (field.no !== no || field.wireType !== LENGTH_DELIMITED) continue
    // The decoder kept the length in front; what follows is exactly that long.
    found.push(field.data.subarray(readVarint(field.data).end))
  }
  return found
}

const varint = (value: bigint): Uint8Array => {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

const readVarint = (bytes: Uint8Array): { readonly value: bigint; readonly end: number } => {
  let value = 0n
  let end = 0
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << BigInt(7 * end)
    end += 1
    if (byte < 0x80) break
  }
  return { value: BigInt.asUintN(64, value), end }
}
