import type { Outbox } from '../clients/outbox.ts'
import type { Publication } from '../routing/publication.ts'
import type { Subscription } from '../routing/subscription.ts'

/**
 * Writes MSG and HMSG frames:
 *
 *   "MSG" SP subject SP sid [SP reply] SP size CRLF payload CRLF
 *   "HMSG" SP subject SP sid [SP reply] SP header-size SP size CRLF headers payload CRLF
 *
 * Cost of one message of 128 bytes: the start of the line is kept per subscription while the
 * subject stays the same, so what remains is two copies and a few digits.
 */
export class FrameWriter {
  readonly #outbox: Outbox
  #subscription: Subscription | undefined
  #subject = ''
  #prefix: Uint8Array = new Uint8Array(0)

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /**
   * `withHeaders` false leaves them out, for a client that does not understand HMSG. Returns
   * whether a view of the payload is kept; else it was copied.
   */
  write(subscription: Subscription, publication: Publication, withHeaders: boolean): boolean {
    const { headerBytes, reply, end } = publication
    const hasHeaders = headerBytes >= 0 && withHeaders
    const start =
      headerBytes > 0 && !withHeaders ? publication.start + headerBytes : publication.start
    const size = end - start
    this.#usePrefix(subscription, publication.subject)
    const prefix = this.#prefix
    const inOne = size <= ONE_PIECE_MAX_BYTES
    const lineBytes =
      (hasHeaders ? 1 + digits(headerBytes) + 1 : 0) +
      prefix.length +
      (reply === '' ? 0 : reply.length + 1) +
      digits(size) +
      2
    let at = this.#outbox.reserve(inOne ? lineBytes + size + 2 : lineBytes)
    const out = this.#outbox.buffer
    if (hasHeaders) out[at++] = LETTER_H
    for (let i = 0; i < prefix.length; i++) out[at++] = prefix[i] ?? 0
    if (reply !== '') {
      out.write(reply, at, reply.length, 'latin1')
      at += reply.length
      out[at++] = SPACE
    }
    if (hasHeaders) {
      at = writeDecimal(out, at, headerBytes)
      out[at++] = SPACE
    }
    at = writeDecimal(out, at, size)
    out[at++] = CR
    out[at++] = LF
    if (inOne) {
      at = copyPayload(publication, start, out, at)
      out[at++] = CR
      out[at++] = LF
      return false
    }
    const keepsView = this.#outbox.writeBytes(publication.bytes.subarray(start, end))
    this.#outbox.writeText('\r\n')
    return keepsView
  }

  #usePrefix(subscription: Subscription, subject: string): void {
    if (subscription === this.#subscription && subject === this.#subject) return
    this.#subscription = subscription
    this.#subject = subject
    this.#prefix = Buffer.from(`MSG ${subject} ${subscription.sid} `, 'latin1')
  }
}

/** A larger payload may begin in one chunk and end in another, so that no chunk stays half empty. */
const ONE_PIECE_MAX_BYTES = 4096
/** Below this a loop beats the call into the engine's copy. */
const LOOP_MAX_BYTES = 64
const SPACE = 0x20
const CR = 0x0d
const LF = 0x0a
const LETTER_H = 0x48

/** Bytes `start` to `end` of the payload; the prefix is short and always whole. */
function copyPayload(publication: Publication, start: number, out: Uint8Array, at: number): number {
  const { bytes, end } = publication
  if (end - start > LOOP_MAX_BYTES) {
    out.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at)
    return at + end - start
  }
  let to = at
  for (let i = start; i < end; i++) out[to++] = bytes[i] ?? 0
  return to
}

function digits(n: number): number {
  let count = 1
  for (let rest = n; rest >= 10; rest = Math.floor(rest / 10)) count++
  return count
}

function writeDecimal(out: Uint8Array, at: number, n: number): number {
  const end = at + digits(n)
  let rest = n
  for (let i = end - 1; i >= at; i--) {
    out[i] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return end
}
