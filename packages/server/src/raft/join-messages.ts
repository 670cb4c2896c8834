import { decodeClusterMessage, encodeClusterMessage, type Decoded } from '@liftbridge/wire'
import type { ServerId } from '@liftbridge/raft'
import type { JoinStage } from './store/joining-mark.ts'

/** Ids are tokens of subjects, and names of directories elsewhere [A3]. */
const ID_SYNTAX = /^[A-Za-z0-9_-]{1,128}$/

export const isServerId = (id: string): boolean => ID_SYNTAX.test(id)

/**
 * Ours, in a field that Go Liftbridge does not know and skips: in a request 1 for 'joining' and 2
 * for 'whole', in an answer the index of the entry that took the server in.
 */
const EXTRA_FIELD = 100
/** Ours too, 1: who asks founds a cluster if there is none. In an answer: it is new as well. */
const FOUNDS_FIELD = 101

export interface JoinRequest {
  readonly id: ServerId
  /** Undefined from Go Liftbridge, whose servers join in one step. */
  readonly stage: JoinStage | undefined
  /** It is about to found a cluster, unless there is one. */
  readonly founds: boolean
}

export const encodeJoinRequest = (id: ServerId, stage: JoinStage): Uint8Array =>
  withExtra(
    encodeClusterMessage('RaftJoinRequest', { nodeID: id, nodeAddr: id }),
    stage === 'joining' ? 1 : 2,
  )

/**
 * What a founder asks: to be taken in if there is a cluster, else whether the others are new as
 * well. The same, as an answer to it, says that this one is.
 */
export const encodeFoundingQuestion = (id: ServerId): Uint8Array =>
  withExtra(encodeJoinRequest(id, 'joining'), 1, FOUNDS_FIELD)

/** Who asks. */
export const decodeJoinRequest = (bytes: Uint8Array): Decoded<JoinRequest> => {
  const decoded = decodeClusterMessage('RaftJoinRequest', bytes)
  if (decoded.kind === 'rejected') return decoded
  const { nodeID, nodeAddr, $unknown } = decoded.message
  if (nodeAddr !== nodeID || !isServerId(nodeID)) {
    return { kind: 'rejected', reason: 'its id is not one of a server' }
  }
  const extra = extraOf($unknown)
  const founds = extra === 1 && extraOf($unknown, FOUNDS_FIELD) === 1
  const stage = extra === 0 ? undefined : extra === 1 ? 'joining' : 'whole'
  return { kind: 'message', message: { id: nodeID, stage, founds } }
}

export type JoinAnswer =
  /** `index` is 0 when it is not told, as by Go Liftbridge. */
  | { readonly kind: 'joined'; readonly index: number }
  | { readonly kind: 'refused'; readonly reason: string }

export const encodeJoinAnswer = (answer: JoinAnswer): Uint8Array =>
  answer.kind === 'refused'
    ? encodeClusterMessage('RaftJoinResponse', { error: answer.reason })
    : withExtra(encodeClusterMessage('RaftJoinResponse', {}), answer.index)

export const decodeJoinAnswer = (bytes: Uint8Array): JoinAnswer => {
  const decoded = decodeClusterMessage('RaftJoinResponse', bytes)
  if (decoded.kind === 'rejected') return { kind: 'refused', reason: decoded.reason }
  const { error, $unknown } = decoded.message
  if (error !== '') return { kind: 'refused', reason: error }
  return { kind: 'joined', index: extraOf($unknown) }
}

export type FoundingAnswer =
  /** Another founder is new as well. */
  | { readonly kind: 'new'; readonly id: ServerId }
  /** There is a cluster. */
  | JoinAnswer
  | { readonly kind: 'rejected'; readonly reason: string }

/** What comes back to a founder that asked. */
export const decodeFoundingAnswer = (bytes: Uint8Array): FoundingAnswer => {
  const asRequest = decodeJoinRequest(bytes)
  if (asRequest.kind === 'message' && asRequest.message.founds) {
    return { kind: 'new', id: asRequest.message.id }
  }
  // Bytes that nobody understands do not say that there is a cluster.
  const decoded = decodeClusterMessage('RaftJoinResponse', bytes)
  return decoded.kind === 'rejected' ? decoded : decodeJoinAnswer(bytes)
}

interface UnknownField {
  readonly no: number
  readonly wireType: number
  readonly data: Uint8Array
}

/** Fields of protobuf may stand one behind the other; wire type 0 is a varint. */
const withExtra = (message: Uint8Array, value: number, field = EXTRA_FIELD): Uint8Array =>
  Uint8Array.from([...message, ...encodeVarint(field * 8), ...encodeVarint(value)])

/** 0 when there is none. */
const extraOf = (unknown: readonly UnknownField[] | undefined, field = EXTRA_FIELD): number => {
  const found = unknown?.find(({ no, wireType }) => no === field && wireType === 0)
  return found === undefined ? 0 : decodeVarint(found.data)
}

const encodeVarint = (value: number): number[] => {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
  bytes.push(left)
  return bytes
}

/** 0 for what no index can be. */
const decodeVarint = (bytes: Uint8Array): number => {
  const value = bytes.reduceRight((sum, byte) => sum * 0x80 + (byte & 0x7f), 0)
  return Number.isSafeInteger(value) ? value : 0
}
