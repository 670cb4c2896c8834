/**
 * Requests to the metadata leader and its answers, as PropagatedRequest and PropagatedResponse of
 * Go Liftbridge; payloads are those of the log, under other field numbers.
 */
import { create, decodeMessage, internal, toBinary } from '@liftbridge/wire'
import { numberField, readNumber, toIndex, withExtraFields } from './extra-fields.ts'
import { decodePayload, encodePayload } from './operations/codec.ts'
import { rejected, type Rejection, type StatusName } from './rejection.ts'
import type { Operation } from './operation.ts'
import type { ForwardedOperation, LeaderReport, MetadataRequest, ReportReason } from './requests.ts'
import type { LogIndex } from './units.ts'

const { Op } = internal

/** Number of the field that says why a leader is reported, or where an answer's entry stands. */
const EXTRA = 100
/** Of a report: what the reporter has left. */
const TAIL = { epoch: 101, end: 102 }
/** An operation that Go Liftbridge does not know; its servers leave it without an answer. */
const READ_INDEX = 100 as internal.Op
/** By number; Go Liftbridge's servers send none, which is 'silent'. */
const REASONS: readonly ReportReason[] = ['silent', 'restarted', 'leaving', 'unfit', 'unsynced']

export type DecodedRequest =
  | { readonly kind: 'request'; readonly request: MetadataRequest }
  | { readonly kind: 'malformed'; readonly reason: string }

/** The PropagatedRequest for a request. */
export const encodeRequest = (request: MetadataRequest): Uint8Array<ArrayBuffer> => {
  if (request.kind === 'create-stream') return encodeCreateStream(request)
  if (request.kind === 'report-leader') return encodeReport(request)
  if (request.kind === 'read-index') {
    return toBinary(
      internal.PropagatedRequestSchema,
      create(internal.PropagatedRequestSchema, { op: READ_INDEX }),
    )
  }
  return toBinary(
    internal.PropagatedRequestSchema,
    Object.assign(create(internal.PropagatedRequestSchema), encodePayload(request)),
  )
}

/** Reads a PropagatedRequest. Never throws. */
export const decodeRequest = (bytes: Uint8Array): DecodedRequest => {
  const decoded = decodeMessage(internal.PropagatedRequestSchema, bytes)
  if (decoded.kind === 'rejected') return { kind: 'malformed', reason: decoded.reason }
  const { message } = decoded
  if (message.op === Op.REPORT_LEADER) return decodeReport(message)
  if (message.op === READ_INDEX) return { kind: 'request', request: { kind: 'read-index' } }
  const operation = decodePayload({
    ...create(internal.RaftLogSchema),
    op: message.op,
    createStreamOp: message.createStreamOp,
    shrinkISROp: message.shrinkISROp,
    expandISROp: message.expandISROp,
    deleteStreamOp: message.deleteStreamOp,
    pauseStreamOp: message.pauseStreamOp,
    resumeStreamOp: message.resumeStreamOp,
    setStreamReadonlyOp: message.setStreamReadonlyOp,
    joinConsumerGroupOp: message.joinConsumerGroupOp,
    leaveConsumerGroupOp: message.leaveConsumerGroupOp,
  })
  if (typeof operation === 'string') return { kind: 'malformed', reason: operation }
  if (operation.kind === 'create-stream') {
    const { name, subject, group, partitions, replicationFactor, config } = operation.stream
    const { length } = partitions
    const stream = { name, subject, group, replicationFactor, config, partitions: length }
    return { kind: 'request', request: { kind: operation.kind, stream } }
  }
  if (isForwarded(operation)) return { kind: 'request', request: operation }
  return { kind: 'malformed', reason: `${operation.kind} cannot be forwarded` }
}

const isForwarded = (operation: Operation): operation is ForwardedOperation =>
  Object.hasOwn(OPS, operation.kind)

const encodeCreateStream = ({
  stream,
}: Extract<MetadataRequest, { kind: 'create-stream' }>): Uint8Array<ArrayBuffer> => {
  const partitions = Array.from({ length: stream.partitions }, (_, id) => {
    return { id, replicas: [], isr: [], leader: '' }
  })
  const operation = {
    kind: 'create-stream',
    stream: { ...stream, partitions, creationTimestampNs: 0n },
  } as const
  return toBinary(
    internal.PropagatedRequestSchema,
    Object.assign(create(internal.PropagatedRequestSchema), encodePayload(operation)),
  )
}

const encodeReport = (report: LeaderReport): Uint8Array<ArrayBuffer> => {
  const { stream, partition, replica, leader, leaderEpoch, reason, tail } = report
  const fields = { stream, partition, replica, leader, leaderEpoch: BigInt(leaderEpoch) }
  const number = BigInt(REASONS.indexOf(reason))
  return toBinary(
    internal.PropagatedRequestSchema,
    create(internal.PropagatedRequestSchema, {
      op: Op.REPORT_LEADER,
      reportLeaderOp: withExtraFields(create(internal.ReportLeaderOpSchema, fields), [
        ...numberField(EXTRA, number),
        ...numberField(TAIL.epoch, BigInt(tail?.epoch ?? 0)),
        ...numberField(TAIL.end, BigInt(tail?.end ?? 0)),
      ]),
    }),
  )
}

const decodeReport = ({ reportLeaderOp }: internal.PropagatedRequest): DecodedRequest => {
  if (reportLeaderOp === undefined) {
    return { kind: 'malformed', reason: 'the operation has no payload' }
  }
  const { stream, partition, replica, leader } = reportLeaderOp
  const leaderEpoch = toIndex(reportLeaderOp.leaderEpoch)
  const reason = REASONS[Number(readNumber(reportLeaderOp, EXTRA))]
  const epoch = toIndex(readNumber(reportLeaderOp, TAIL.epoch))
  const end = toIndex(readNumber(reportLeaderOp, TAIL.end))
  if (leaderEpoch === undefined || epoch === undefined || end === undefined || !reason) {
    return { kind: 'malformed', reason: 'a number is out of range' }
  }
  const tail = reason === 'unsynced' ? { tail: { epoch, end } } : {}
  const report = { stream, partition, replica, leader, leaderEpoch, reason, ...tail }
  return { kind: 'request', request: { kind: 'report-leader', ...report } }
}

/** An answer of the metadata leader. */
export type MetadataAnswer =
  /** `index`: where the change stands in the log; 0 when there is none, or the leader does not say. */
  { readonly kind: 'done'; readonly index: LogIndex } | Rejection

/** gRPC's numbers, which is what travels [LB control plane 4.2]. */
const STATUS_CODES: Readonly<Record<StatusName, number>> = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  INTERNAL: 13,
}

/** The PropagatedResponse to `request`. */
export const encodeAnswer = (
  request: MetadataRequest,
  answer: MetadataAnswer,
): Uint8Array<ArrayBuffer> => {
  const response = create(internal.PropagatedResponseSchema, { op: opOf(request) })
  if (answer.kind === 'rejected') {
    response.error = create(internal.ErrorSchema, {
      code: STATUS_CODES[answer.status],
      msg: answer.text,
    })
  } else {
    withExtraFields(response, numberField(EXTRA, BigInt(answer.index)))
  }
  return toBinary(internal.PropagatedResponseSchema, response)
}

const opOf = ({ kind }: MetadataRequest): internal.Op => {
  if (kind === 'report-leader') return Op.REPORT_LEADER
  return kind === 'read-index' ? READ_INDEX : OPS[kind]
}

const OPS = {
  'create-stream': Op.CREATE_STREAM,
  'shrink-isr': Op.SHRINK_ISR,
  'expand-isr': Op.EXPAND_ISR,
  'delete-stream': Op.DELETE_STREAM,
  'pause-stream': Op.PAUSE_STREAM,
  'resume-stream': Op.RESUME_STREAM,
  'set-stream-readonly': Op.SET_STREAM_READONLY,
  'join-consumer-group': Op.JOIN_CONSUMER_GROUP,
  'leave-consumer-group': Op.LEAVE_CONSUMER_GROUP,
} satisfies { [Kind in ForwardedOperation['kind'] | 'create-stream']: internal.Op }

/** Reads a PropagatedResponse; what cannot be read is refused as the original refuses it. */
export const decodeAnswer = (bytes: Uint8Array): MetadataAnswer => {
  const decoded = decodeMessage(internal.PropagatedResponseSchema, bytes)
  if (decoded.kind === 'rejected') return rejected('INTERNAL', 'invalid response')
  const { error } = decoded.message
  if (error !== undefined) return rejected(statusOf(error.code), error.msg)
  const index = toIndex(readNumber(decoded.message, EXTRA))
  return index === undefined ? rejected('INTERNAL', 'invalid response') : { kind: 'done', index }
}

const statusOf = (code: number): StatusName => {
  for (const name of Object.keys(STATUS_CODES) as StatusName[]) {
    if (STATUS_CODES[name] === code) return name
  }
  return 'INTERNAL'
}
