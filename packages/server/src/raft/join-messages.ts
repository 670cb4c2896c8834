import { decodeClusterMessage, encodeClusterMessage, type Decoded } from '@liftbridge/wire'
import type { ServerId } from '@liftbridge/raft'

/** Ids are tokens of subjects, and names of directories elsewhere [A3]. */
const ID_SYNTAX = /^[A-Za-z0-9_-]{1,128}$/

export const isServerId = (id: string): boolean => ID_SYNTAX.test(id)

/**
 * Ours, in a field that Go Liftbridge does not know and skips: index of the entry that took the
 * server in.
 */
const INDEX_FIELD = 100

export const encodeJoinRequest = (self: ServerId): Uint8Array =>
  encodeClusterMessage('RaftJoinRequest', { nodeID: self, nodeAddr: self })

/** Who asks. */
export const decodeJoinRequest = (bytes: Uint8Array): Decoded<ServerId> => {
  const decoded = decodeClusterMessage('RaftJoinRequest', bytes)
  if (decoded.kind === 'rejected') return decoded
  const { nodeID, nodeAddr } = decoded.message
  if (nodeAddr !== nodeID || !isServerId(nodeID)) {
    return { kind: 'rejected', reason: 'its id is not one of a server' }
  }
  return { kind: 'message', message: nodeID }
}

export type JoinAnswer =
  /** `index` is 0 from Go Liftbridge, which does not tell. */
  | { readonly kind: 'joined'; readonly index: number }
  | { readonly kind: 'refused'; readonly reason: string }

export const encodeJoinAnswer = (answer: JoinAnswer): Uint8Array => {
  if (answer.kind === 'refused') {
    return encodeClusterMessage('RaftJoinResponse', { error: answer.reason })
  }
  // Wire type 0, a varint; fields of protobuf may stand one behind the other.
  const field = [...encodeVarint(INDEX_FIELD * 8), ...encodeVarint(answer.index)]
  return Uint8Array.from([...encodeClusterMessage('RaftJoinResponse', {}), ...field])
}

export const decodeJoinAnswer = (bytes: Uint8Array): JoinAnswer => {
  const decoded = decodeClusterMessage('RaftJoinResponse', bytes)
  if (decoded.kind === 'rejected') return { kind: 'refused', reason: decoded.reason }
  const { error, $unknown } = decoded.message
  if (error !== '') return { kind: 'refused', reason: error }
  const field = $unknown?.find(({ no, wireType }) => no === INDEX_FIELD && wireType === 0)
  return { kind: 'joined', index: field === undefined ? 0 : decodeVarint(field.data) }
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
