/**
 * Every error a client can get from this server's own code: one class, one table. The texts are
 * those of Go Liftbridge where it has one, since clients compare them [LB clients 1];
 * `docs/errors.md` is generated from this table and a test keeps it equal. What the metadata
 * state machine rejects stands in package `metadata`.
 */

export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNKNOWN'
  | 'CANCELLED'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED'

export type ErrorEntry = {
  readonly status: StatusName
  /** `{name}` stands for a value. */
  readonly text: string
  /** What happened and the way out, for the documentation. */
  readonly meaning: string
}

export type ErrorCode =
  | 'request.malformed'
  | 'server.starting'
  | 'server.stopping'
  | 'stream.unknown'
  | 'publish.no-stream'
  | 'partition.unknown'
  | 'partition.readonly'
  | 'partition.unavailable'
  | 'stream.not-opened'
  | 'publish.policy-required'
  | 'publish.incorrect-offset'
  | 'publish.too-large'
  | 'publish.encryption'
  | 'publish.failed'
  | 'publish.no-space'
  | 'publish.nats'
  | 'publish.headers'
  | 'inbox.invalid'
  | 'subject.invalid'
  | 'subject.reserved'
  | 'deadline'
  | 'resume.failed'
  | 'subscribe.no-partition'
  | 'subscribe.not-leader'
  | 'subscribe.no-consumer-id'
  | 'subscribe.group-on-replica'
  | 'subscribe.not-assigned'
  | 'subscribe.start-position'
  | 'subscribe.stop-position'
  | 'subscribe.stop-before-start'
  | 'subscribe.stop-after-start'
  | 'subscribe.empty'
  | 'subscribe.stop-reached'
  | 'subscribe.timestamp'
  | 'subscribe.readonly-end'
  | 'subscribe.reverse-end'
  | 'subscribe.paused'
  | 'subscribe.deleted'
  | 'subscribe.corrupt'
  | 'subscribe.encryption'
  | 'encryption.precondition'
  | 'partition-metadata.unknown'
  | 'partition-metadata.not-leader'
  | 'metadata.too-many-names'

export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = {
  'request.malformed': {
    status: 'INTERNAL',
    text: 'grpc: error unmarshalling request: {reason}',
    meaning: 'The request is not the protobuf message of this method.',
  },
  'server.starting': {
    status: 'UNAVAILABLE',
    text: 'server is starting',
    meaning: 'The server opens its partitions or waits for NATS; /readyz tells. Try again.',
  },
  'server.stopping': {
    status: 'UNAVAILABLE',
    text: 'server is shutting down',
    meaning: 'The server drains; try another one, or again.',
  },
  'stream.unknown': {
    status: 'NOT_FOUND',
    text: 'no such stream: {stream}',
    meaning: 'A publish named a stream that does not exist; create it first.',
  },
  'publish.no-stream': {
    status: 'INVALID_ARGUMENT',
    text: 'no stream provided',
    meaning: 'A publish without a stream name.',
  },
  'partition.unknown': {
    status: 'NOT_FOUND',
    text: 'no such partition: {partition}',
    meaning: 'The stream has fewer partitions, or the number is negative.',
  },
  'partition.readonly': {
    status: 'FAILED_PRECONDITION',
    text: 'readonly partition: {partition}',
    meaning: 'SetStreamReadonly is in force on this partition.',
  },
  'partition.unavailable': {
    status: 'UNAVAILABLE',
    text: 'partition {partition} of stream {stream} is not available',
    meaning:
      'The partition is being opened, or was fenced after a failure of its disk; /readyz tells. Try again.',
  },
  'stream.not-opened': {
    status: 'UNAVAILABLE',
    text: 'stream {stream} was created, but its partition {partition} could not be opened: {reason}',
    meaning:
      'The stream exists; the disk of the server that leads the partition refuses it. The opening is tried again by itself, and /readyz and the log tell; DeleteStream takes the stream back.',
  },
  'publish.policy-required': {
    status: 'INVALID_ARGUMENT',
    text: 'stream with concurrency control must have AckPolicy set',
    meaning: 'AckPolicy NONE cannot report whether the expected offset matched.',
  },
  'publish.incorrect-offset': {
    status: 'UNKNOWN',
    text: 'incorrect expected offset',
    meaning:
      'Another message took the expected offset. Nothing was stored; read the newest offset and decide again.',
  },
  'publish.too-large': {
    status: 'INVALID_ARGUMENT',
    text: 'message exceeds max replication size',
    meaning:
      'The stored message would exceed clustering.replication.max.bytes or the max_payload of NATS. Nothing was stored.',
  },
  'publish.encryption': {
    status: 'INTERNAL',
    text: 'encryption failed on partition',
    meaning: 'The value could not be sealed; see LIFTBRIDGE_ENCRYPTION_KEY. Nothing was stored.',
  },
  'publish.failed': {
    status: 'UNKNOWN',
    text: 'unknown error',
    meaning:
      'The partition could not take the message (it is overloaded, failed, or closing). The log line of the server says why.',
  },
  'publish.no-space': {
    status: 'RESOURCE_EXHAUSTED',
    text: 'no space left on the disk of the server',
    meaning:
      'The message is not stored. The partition takes messages again by itself once there is space.',
  },
  'publish.nats': {
    status: 'UNKNOWN',
    text: 'failed to publish to NATS: {reason}',
    meaning: 'NATS refused the message or is not connected.',
  },
  'publish.headers': {
    status: 'INVALID_ARGUMENT',
    text: 'invalid headers: {reason}',
    meaning:
      'A header key is longer than 32,767 bytes, or there are too many headers. Nothing was stored.',
  },
  'inbox.invalid': {
    status: 'INVALID_ARGUMENT',
    text: 'invalid ackInbox "{inbox}": {reason}',
    meaning:
      'An ack inbox must be a literal NATS subject outside the subjects of the cluster and of NATS itself.',
  },
  'subject.invalid': {
    status: 'UNKNOWN',
    text: 'failed to publish to NATS: nats: invalid subject',
    meaning: 'PublishToSubject takes a literal subject.',
  },
  'subject.reserved': {
    status: 'PERMISSION_DENIED',
    text: 'subject "{subject}" is reserved for the cluster',
    meaning: 'Subjects below the cluster namespace, $SYS and $JS carry internal traffic.',
  },
  deadline: {
    status: 'DEADLINE_EXCEEDED',
    text: 'context deadline exceeded',
    meaning: 'The deadline of the call passed. A publish may or may not have been stored.',
  },
  'resume.failed': {
    status: 'INTERNAL',
    text: 'Failed to resume stream: {reason}',
    meaning: 'The paused partition could not be opened again.',
  },
  'subscribe.no-partition': {
    status: 'NOT_FOUND',
    text: 'No such partition',
    meaning: 'The stream or the partition does not exist.',
  },
  'subscribe.not-leader': {
    status: 'FAILED_PRECONDITION',
    text: 'Server not partition leader',
    meaning: 'Fetch metadata and subscribe on the leader, or set readISRReplica.',
  },
  'subscribe.no-consumer-id': {
    status: 'INVALID_ARGUMENT',
    text: 'Consumer id cannot be empty when group id is provided',
    meaning: 'A group subscription names the member that reads.',
  },
  'subscribe.group-on-replica': {
    status: 'INVALID_ARGUMENT',
    text: 'Consumer groups not compatible with ReadISRReplica',
    meaning: 'A group reads from the leader.',
  },
  'subscribe.not-assigned': {
    status: 'FAILED_PRECONDITION',
    text: 'Consumer is not currently assigned this partition',
    meaning:
      'A member of the group with a newer epoch, or another member of the same epoch, reads this partition.',
  },
  'subscribe.start-position': {
    status: 'INVALID_ARGUMENT',
    text: 'Unknown StartPosition {value}',
    meaning: 'The start position is none of the enum.',
  },
  'subscribe.stop-position': {
    status: 'INVALID_ARGUMENT',
    text: 'Unknown StopPosition {value}',
    meaning: 'The stop position is none of the enum.',
  },
  'subscribe.stop-before-start': {
    status: 'INVALID_ARGUMENT',
    text: 'Stop offset is before start offset: {stop} < {start}',
    meaning: 'The subscription could never deliver a message.',
  },
  'subscribe.stop-after-start': {
    status: 'INVALID_ARGUMENT',
    text: 'Stop offset is after start offset of a reverse subscription: {stop} > {start}',
    meaning: 'A reverse subscription goes down from its start.',
  },
  'subscribe.empty': {
    status: 'RESOURCE_EXHAUSTED',
    text: 'Stream is empty',
    meaning: 'STOP_LATEST on a partition without messages.',
  },
  'subscribe.stop-reached': {
    status: 'RESOURCE_EXHAUSTED',
    text: 'Stop offset reached',
    meaning: 'The subscription delivered all it was asked for.',
  },
  'subscribe.timestamp': {
    status: 'INTERNAL',
    text: 'Failed to lookup offset for timestamp: {reason}',
    meaning: 'No message lies on the asked side of the timestamp.',
  },
  'subscribe.readonly-end': {
    status: 'RESOURCE_EXHAUSTED',
    text: 'End of readonly partition',
    meaning: 'All messages of a readonly partition were delivered.',
  },
  'subscribe.reverse-end': {
    status: 'RESOURCE_EXHAUSTED',
    text: 'Beginning of partition reached',
    meaning: 'A reverse subscription delivered the oldest message.',
  },
  'subscribe.paused': {
    status: 'FAILED_PRECONDITION',
    text: 'commit log was closed',
    meaning: 'The partition is paused, or moved; subscribe with resume, or find the new leader.',
  },
  'subscribe.deleted': {
    status: 'NOT_FOUND',
    text: 'commit log was deleted',
    meaning: 'The stream was deleted.',
  },
  'subscribe.corrupt': {
    status: 'DATA_LOSS',
    text: 'partition {partition} of stream {stream} cannot be read: {reason}',
    meaning:
      'Bytes on disk do not match their checksum. The damaged segment is not served; everything else goes on.',
  },
  'subscribe.encryption': {
    status: 'DATA_LOSS',
    text: 'message {offset} cannot be decrypted: {reason}',
    meaning:
      'The server has another LIFTBRIDGE_ENCRYPTION_KEY than the one that sealed the message.',
  },
  'encryption.precondition': {
    status: 'FAILED_PRECONDITION',
    text: "Failed on preconditions for stream's encryption handler: {reason}",
    meaning: 'Set LIFTBRIDGE_ENCRYPTION_KEY to 16 or 32 bytes on every server.',
  },
  'partition-metadata.unknown': {
    status: 'NOT_FOUND',
    text: 'partition not found',
    meaning: 'The stream or the partition does not exist.',
  },
  'partition-metadata.not-leader': {
    status: 'FAILED_PRECONDITION',
    text: 'The request should be sent to partition leader',
    meaning: 'Only the leader knows the newest offset.',
  },
  'metadata.too-many-names': {
    status: 'INVALID_ARGUMENT',
    text: 'more than {max} streams and groups were named',
    meaning: 'FetchMetadata answers for a bounded number of names; name none for all streams.',
  },
}

export class LiftbridgeError extends Error {
  readonly code: ErrorCode
  readonly status: StatusName

  constructor(
    code: ErrorCode,
    values: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    const entry = errorTable[code]
    super(fill(entry.text, values), options)
    this.name = 'LiftbridgeError'
    this.code = code
    this.status = entry.status
  }
}

function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
