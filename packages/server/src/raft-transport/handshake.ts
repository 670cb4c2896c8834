import { decodeText, encodeText, isLiteralSubject, type ClusterSubjects } from '@liftbridge/wire'
import { HANDSHAKE_BYTES } from './limits.ts'

/**
 * The two messages that open a stream, JSON [LB control plane 2.4]. `window` is ours: Go skips it.
 * When both sides name one, each side keeps no more than the other's window under way.
 */
export type Dial = {
  /** The server that dials. */
  readonly id: string
  /** Where it listens for the bytes of the stream. */
  readonly inbox: string
  /** Undefined from a Go Liftbridge server. */
  readonly window: number | undefined
}

export type Accepted = Omit<Dial, 'id'>

export function encodeDial(id: string, inbox: string, window: number): Uint8Array {
  return encodeText(JSON.stringify({ id, inbox, window }))
}

/** `window` is told only to a dialer that named its own. */
export function encodeAccepted(inbox: string, window: number | undefined): Uint8Array {
  return encodeText(JSON.stringify(window === undefined ? { inbox } : { inbox, window }))
}

/** Undefined for anything that is no dial of a server of this cluster. */
export function decodeDial(data: Uint8Array, subjects: ClusterSubjects): Dial | undefined {
  const fields = parse(data)
  const id = fields?.['id']
  const accepted = acceptedOf(fields, subjects)
  return typeof id === 'string' && id !== '' && accepted ? { id, ...accepted } : undefined
}

export function decodeAccepted(data: Uint8Array, subjects: ClusterSubjects): Accepted | undefined {
  return acceptedOf(parse(data), subjects)
}

function acceptedOf(
  fields: Readonly<Record<string, unknown>> | undefined,
  subjects: ClusterSubjects,
): Accepted | undefined {
  const inbox = fields?.['inbox']
  const window = fields?.['window']
  // We are about to publish there: only where streams listen, never to a subject of the sender's wish.
  if (typeof inbox !== 'string' || !isLiteralSubject(inbox) || !subjects.isRaftStream(inbox)) {
    return undefined
  }
  const told = typeof window === 'number' && Number.isSafeInteger(window) && window > 0
  return { inbox, window: told ? window : undefined }
}

function parse(data: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (data.length > HANDSHAKE_BYTES) return undefined
  try {
    const value: unknown = JSON.parse(decodeText(data))
    if (typeof value !== 'object' || value === null) return undefined
    return value as Readonly<Record<string, unknown>>
  } catch {
    // Whatever the bytes are, they are no handshake; the caller counts and tells.
    return undefined
  }
}
