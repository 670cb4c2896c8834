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

export interface JoinRequest {
  readonly id: ServerId
  /** Undefined from Go Liftbridge, whose servers join in one step. */
  readonly stage: JoinStage | undefined
}

export const encodeJoinRequest = (id: ServerId, stage: JoinStage): Uint8Array =>
  withExtra(
    encodeClusterMessage('RaftJoinRequest', { nodeID: id, nodeAddr: id }),
    stage === 'joining' ? 1 : 2,
  )

/** Who asks. */
export const decodeJoinRequest = (bytes: Uint8Array): Decoded<JoinRequest> => {
  const decoded = decodeClusterMessage('RaftJoinRequest', bytes)
  if (decoded.kind === 'rejected') return decoded
  const { nodeID, nodeAddr, $unknown } = decoded.message
  if (nodeAddr !== nodeID || !isServerId(nodeID)) {
    return { kind: 'rejected', reason: 'its id is not one of a server' }
  }
  const extra = extraOf($unknown)
  if (extra === 0) return { kind: 'message', message: { id: nodeID, stage: undefined } }
  return { kind: 'message', message: { id: nodeID, stage: extra === 1 ? 'joining' : 'whole' } }
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

interface UnknownField {
  readonly no: number
  readonly wireType: number
  readonly data: Uint8Array
}

/** Fields of protobuf may stand one behind the other; wire type 0 is a varint. */
const withExtra = (message: Uint8Array, value: number): Uint8Array =>
  Uint8Array.from([...message, ...encodeVarint(EXTRA_FIELD * 8), ...encodeVarint(value)])

/** 0 when there is none. */
const extraOf = (unknown: readonly UnknownField[] | undefined): number => {
  const field = unknown?.find(({ no, wireType }) => no === EXTRA_FIELD && wireType === 0)
  return field === undefined ? 0 : decodeVarint(field.data)
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
