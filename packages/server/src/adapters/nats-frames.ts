import { isLiteralSubject } from '@liftbridge/nats'
import { BusError } from '../bus.ts'

/**
 * PUB frames, gathered so that many go out in one write:
 *
 *   "PUB" SP subject SP [reply SP] size CRLF payload CRLF
 *
 * Cost of one message: a look-up of the subject's ready-made start of the line and a copy.
 */
export class FrameBatch {
  readonly #write: (bytes: Uint8Array) => void
  readonly #prefixes = new Map<string, Buffer>()
  #lastSubject: string | undefined
  #lastPrefix: Buffer = Buffer.alloc(0)
  #chunk: Buffer = Buffer.alloc(0)
  #used = 0

  /** `write` takes the bytes over. */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write
  }

  /** Bytes gathered and not yet written. */
  get bytes(): number {
    return this.#used
  }

  /** Throws BusError 'bad-subject' before a byte is gathered: nothing can be injected [LB 7.F5]. */
  add(subject: string, payload: Uint8Array, reply: string): void {
    const prefix = subject === this.#lastSubject ? this.#lastPrefix : this.#prefixOf(subject)
    if (reply !== '' && !isLiteralSubject(reply)) throw badSubject()
    const inOne = payload.length <= COPIED_MAX_BYTES
    const bound = prefix.length + 3 * reply.length + LINE_REST_BYTES + (inOne ? payload.length : 0)
    if (this.#used + bound > this.#chunk.length) this.#nextChunk(bound)
    const out = this.#chunk
    let at = this.#used
    for (let i = 0; i < prefix.length; i++) out[at++] = prefix[i] ?? 0
    if (reply !== '') {
      at += out.write(reply, at, 'utf8')
      out[at++] = SPACE
    }
    at = writeDecimal(out, at, payload.length)
    out[at++] = CR
    out[at++] = LF
    if (inOne) {
      out.set(payload, at)
      at += payload.length
    } else {
      this.#used = at
      this.flush()
      this.#write(payload)
      this.#nextChunk(2)
      at = 0
    }
    this.#chunk[at++] = CR
    this.#chunk[at++] = LF
    this.#used = at
    // The client library writes commands of its own, which must not come before the end of this.
    if (!inOne) this.flush()
  }

  /** Writes what is gathered. */
  flush(): void {
    if (this.#used === 0) return
    const full = this.#chunk.subarray(0, this.#used)
    this.#chunk = this.#chunk.subarray(this.#used)
    this.#used = 0
    this.#write(full)
  }

  /** Forgets what is gathered. */
  discard(): void {
    this.#used = 0
  }

  #nextChunk(atLeast: number): void {
    this.flush()
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(atLeast, CHUNK_BYTES))
  }

  #prefixOf(subject: string): Buffer {
    let prefix = this.#prefixes.get(subject)
    if (prefix === undefined) {
      if (!isLiteralSubject(subject)) throw badSubject()
      prefix = Buffer.from(`PUB ${subject} `, 'utf8')
      if (this.#prefixes.size >= PREFIXES_MAX) this.#prefixes.clear()
      if (subject.length <= 256) this.#prefixes.set(subject, prefix)
    }
    this.#lastSubject = subject
    this.#lastPrefix = prefix
    return prefix
  }
}

const CHUNK_BYTES = 64 * 1024
/** Larger payloads are written as they are. */
const COPIED_MAX_BYTES = 16 * 1024
/** Space after the reply, up to ten digits, CRLF twice. */
const LINE_REST_BYTES = 1 + 10 + 4
/** Some 300 KiB of ready-made line starts: one per stream subject in steady use. */
const PREFIXES_MAX = 1024
const SPACE = 0x20
const CR = 0x0d
const LF = 0x0a

function badSubject(): BusError {
  return new BusError('bad-subject', 'not a valid NATS subject')
}

function writeDecimal(out: Uint8Array, at: number, n: number): number {
  let end = at + 1
  for (let rest = n; rest >= 10; rest = Math.floor(rest / 10)) end++
  let rest = n
  for (let i = end - 1; i >= at; i--) {
    out[i] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return end
}
