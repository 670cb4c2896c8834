/**
 * One message on its way from a publisher to the subscribers. The record is reused by the
 * publisher for its next message: who wants to keep it copies the fields. The bytes themselves
 * are never written again, so a view of them may be kept.
 */
export interface Publication {
  /** Byte string (subject.ts). */
  subject: string
  /** Byte string, '' when there is none. */
  reply: string
  /** Length of the header block at `start`; -1 when the message has no headers. */
  headerBytes: number
  bytes: Uint8Array
  start: number
  end: number
  /** Somebody kept a view of the bytes, since the publisher last set this to false. */
  viewed: boolean
}

export function emptyPublication(): Publication {
  return {
    subject: '',
    reply: '',
    headerBytes: -1,
    bytes: new Uint8Array(0),
    start: 0,
    end: 0,
    viewed: false,
  }
}
