import { ByteAccumulator } from './byte-accumulator.ts'
import { ErrorText } from '../errors.ts'
import { emptyPublication, type Publication } from '../routing/publication.ts'

/**
 * The client's half of the NATS protocol as a push parser: bytes in, commands out. It knows no
 * socket and keeps at most one control line or one payload between two calls.
 *
 *   command = ("PUB" SP subject [SP reply] SP size | "HPUB" SP subject [SP reply] SP header-size SP size)
 *               EOL payload CRLF
 *           | ("SUB" SP subject [SP queue] SP sid | "UNSUB" SP sid [SP max] | "CONNECT" json
 *             | "PING" | "PONG" | "+OK" | "-ERR" text | "INFO" json) EOL
 *   EOL = [CR] LF;  SP = 1*(space | tab);  names of commands in either case
 *
 * What is accepted, and what happens on the rest, was read off a nats-server (the protocol suite
 * runs on both). After an error the parser takes no more bytes.
 *
 * Cost per message in steady state: one scan of the control line, one comparison with the previous
 * subject, no string, no copy and no allocation while the payload lies in one chunk.
 */
export class CommandParser {
  readonly #sink: CommandSink
  readonly #limits: ParserLimits
  readonly #publication: Publication = emptyPublication()
  /** The unfinished control line, when a chunk ended inside one. */
  readonly #line = new ByteAccumulator()
  /** The unfinished payload with its CRLF. */
  readonly #payload = new ByteAccumulator()
  /** Bytes of payload and CRLF that the last PUB announced; 0 while a line is expected. */
  #payloadNeeded = 0
  #stopped = false
  /** What came after the command at which the sink said `pause`; undefined while not paused. */
  #rest: Buffer | undefined
  readonly #tokens = new Int32Array(2 * MAX_TOKENS)
  readonly #subjects = new LastText()
  readonly #replies = new LastText()

  constructor(sink: CommandSink, limits: ParserLimits) {
    this.#sink = sink
    this.#limits = limits
  }

  /** No command is reported any more, not even from the chunk being parsed. */
  stop(): void {
    this.#stopped = true
    this.#rest = undefined
    this.#line.clear()
    this.#payload.clear()
  }

  /** Reports no command until `resume`. The caller should not read on meanwhile: bytes are kept. */
  pause(): void {
    this.#rest ??= NOTHING
  }

  /** Goes on where `pause` stopped. */
  resume(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.parse(rest)
  }

  /**
   * Published payloads are views of `chunk`. `viewed` says whether somebody keeps one: it must not
   * be written to then. The parser itself copies what it keeps.
   */
  parse(chunk: Buffer): { readonly viewed: boolean } {
    const publication = this.#publication
    publication.viewed = false
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#rest !== undefined) {
        this.#rest = Buffer.concat([this.#rest, chunk.subarray(at)])
        break
      }
      at = this.#payloadNeeded > 0 ? this.#readPayload(chunk, at) : this.#readLine(chunk, at)
    }
    return publication
  }

  #readLine(chunk: Buffer, at: number): number {
    const newline = chunk.indexOf(LF, at)
    const end = newline === -1 ? chunk.length : newline
    const line = this.#line
    const most = this.#limits.maxControlLineBytes + LONGEST_NAME + 2
    if (line.length + end - at > most) {
      this.#fail(line.length > 0 ? tooLong(line.peek(), 0) : tooLong(chunk, at))
      return chunk.length
    }
    if (newline === -1) {
      line.append(chunk, { start: at, end, most })
      if (!couldBeCommand(line.peek())) this.#fail(ErrorText.unknownOperation)
      return chunk.length
    }
    if (line.length === 0) {
      this.#command(chunk, at, end)
    } else {
      line.append(chunk, { start: at, end, most })
      const whole = line.take()
      this.#command(whole, 0, whole.length)
    }
    return newline + 1
  }

  /** One whole line without its LF. */
  #command(bytes: Buffer, start: number, lineEnd: number): void {
    const end = lineEnd > start && bytes[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    const name = commandAt(bytes, start, end)
    if (name === undefined) return this.#fail(ErrorText.unknownOperation)
    let args = start + name.text.length
    while (args < end && isBlank(bytes[args])) args++
    if (end - args > this.#limits.maxControlLineBytes) return this.#fail(ErrorText.maxControlLine)
    switch (name.kind) {
      case 'pub':
        return this.#publish(bytes, args, end)
      case 'hpub':
        return this.#publishWithHeaders(bytes, args, end)
      case 'sub':
        return this.#subscribe(bytes, args, end)
      case 'unsub':
        return this.#unsubscribe(bytes, args, end)
      case 'connect':
        return this.#sink.onConnect(bytes.toString('utf8', args, end))
      case 'ping':
        return this.#sink.onPing()
      case 'pong':
        return this.#sink.onPong()
      case 'err':
        return this.#fail(undefined)
      case 'ignored':
        return
      default:
        return name.kind satisfies never
    }
  }

  #publish(bytes: Buffer, start: number, end: number): void {
    const count = this.#split(bytes, start, end)
    if (count !== 2 && count !== 3) return this.#fail(undefined)
    this.#beginPayload(bytes, count, -1)
  }

  #publishWithHeaders(bytes: Buffer, start: number, end: number): void {
    const count = this.#split(bytes, start, end)
    if (!this.#sink.acceptsHeaders || (count !== 3 && count !== 4)) return this.#fail(undefined)
    const headerBytes = this.#sizeAt(bytes, count - 2)
    if (headerBytes < 0) return this.#fail(undefined)
    this.#beginPayload(bytes, count - 1, headerBytes)
  }

  /** `tokens` counts subject, optional reply and one size; the last token of the line is the total. */
  #beginPayload(bytes: Buffer, tokens: number, headerBytes: number): void {
    const size = this.#sizeAt(bytes, headerBytes < 0 ? tokens - 1 : tokens)
    if (size < 0) return this.#fail(undefined)
    if (size > this.#limits.maxPayloadBytes) return this.#fail(ErrorText.maxPayload)
    if (headerBytes > size) return this.#fail(undefined)
    const t = this.#tokens
    const publication = this.#publication
    publication.subject = this.#subjects.read(bytes, t[0] ?? 0, t[1] ?? 0)
    publication.reply = tokens === 3 ? this.#replies.read(bytes, t[2] ?? 0, t[3] ?? 0) : ''
    // As nats-server does, a header block of no bytes is none.
    publication.headerBytes = headerBytes === 0 ? -1 : headerBytes
    this.#payloadNeeded = size + 2
  }

  #readPayload(chunk: Buffer, at: number): number {
    const needed = this.#payloadNeeded
    const payload = this.#payload
    if (payload.length === 0 && chunk.length - at >= needed) {
      this.#finishPayload(chunk, at, at + needed)
      return at + needed
    }
    const end = Math.min(chunk.length, at + needed - payload.length)
    payload.append(chunk, { start: at, end, most: needed })
    if (payload.length === needed) this.#finishPayload(payload.take(), 0, needed)
    return end
  }

  #finishPayload(bytes: Buffer, start: number, end: number): void {
    this.#payloadNeeded = 0
    if (bytes[end - 2] !== CR || bytes[end - 1] !== LF)
      return this.#fail(ErrorText.unknownOperation)
    const publication = this.#publication
    publication.bytes = bytes
    publication.start = start
    publication.end = end - 2
    this.#sink.onPublish(publication)
  }

  #subscribe(bytes: Buffer, start: number, end: number): void {
    const count = this.#split(bytes, start, end)
    if (count !== 2 && count !== 3) return this.#fail(undefined)
    this.#sink.onSubscribe({
      subject: this.#textAt(bytes, 0),
      queue: count === 3 ? this.#textAt(bytes, 1) : '',
      sid: this.#textAt(bytes, count - 1),
    })
  }

  #unsubscribe(bytes: Buffer, start: number, end: number): void {
    const count = this.#split(bytes, start, end)
    if (count !== 1 && count !== 2) return this.#fail(undefined)
    // A count that is no number means "now", as in nats-server.
    const max = count === 2 ? Math.max(0, this.#sizeAt(bytes, 1)) : 0
    this.#sink.onUnsubscribe(this.#textAt(bytes, 0), max)
  }

  #fail(text: string | undefined): void {
    this.stop()
    this.#sink.onProtocolError(text)
  }

  /** Puts the bounds of each token into `#tokens`; returns how many there are, or MAX_TOKENS + 1. */
  #split(bytes: Buffer, start: number, end: number): number {
    const tokens = this.#tokens
    let count = 0
    let at = start
    while (at < end) {
      const from = at
      while (at < end && !isBlank(bytes[at])) at++
      if (at > from) {
        if (count === MAX_TOKENS) return MAX_TOKENS + 1
        tokens[2 * count] = from
        tokens[2 * count + 1] = at
        count++
      }
      at++
    }
    return count
  }

  #textAt(bytes: Buffer, token: number): string {
    return bytes.toString('latin1', this.#tokens[2 * token], this.#tokens[2 * token + 1])
  }

  /** At most nine digits, as in nats-server; -1 when it is anything else. */
  #sizeAt(bytes: Buffer, token: number): number {
    const start = this.#tokens[2 * token] ?? 0
    const end = this.#tokens[2 * token + 1] ?? 0
    if (end - start > 9) return -1
    let size = 0
    for (let i = start; i < end; i++) {
      const digit = (bytes[i] ?? 0) - 0x30
      if (digit < 0 || digit > 9) return -1
      size = size * 10 + digit
    }
    return size
  }
}

/** Receives what the client sent, in order. Texts are byte strings (subject.ts). */
export interface CommandSink {
  /** False refuses HPUB. Asked for each. */
  readonly acceptsHeaders: boolean
  onConnect(json: string): void
  /** The record is reused for the next message. */
  onPublish(publication: Publication): void
  onSubscribe(request: SubscribeRequest): void
  /** `max` 0 means at once. */
  onUnsubscribe(sid: string, max: number): void
  onPing(): void
  onPong(): void
  /** The connection is to be closed, after telling the client `text` if there is one. */
  onProtocolError(text: string | undefined): void
}

export interface SubscribeRequest {
  readonly subject: string
  /** '' for none. */
  readonly queue: string
  readonly sid: string
}

export interface ParserLimits {
  readonly maxPayloadBytes: number
  readonly maxControlLineBytes: number
}

/**
 * A client mostly publishes to the subject it published to before. Comparing bytes is cheaper than
 * building a string and hashing it, and the very same string object makes the caches behind it hit.
 */
class LastText {
  #bytes: Uint8Array = new Uint8Array(0)
  #text = ''

  read(bytes: Buffer, start: number, end: number): string {
    const known = this.#bytes
    const length = end - start
    if (length === known.length) {
      let i = 0
      while (i < length && known[i] === bytes[start + i]) i++
      if (i === length) return this.#text
    }
    const text = bytes.toString('latin1', start, end)
    if (length <= 256) {
      this.#bytes = Uint8Array.prototype.slice.call(bytes, start, end)
      this.#text = text
    }
    return text
  }
}

const NOTHING = Buffer.alloc(0)
const LF = 0x0a
const CR = 0x0d
const MAX_TOKENS = 4
const LONGEST_NAME = 'CONNECT'.length

type CommandKind =
  | 'pub'
  | 'hpub'
  | 'sub'
  | 'unsub'
  | 'connect'
  | 'ping'
  | 'pong'
  | 'err'
  | 'ignored'

interface CommandName {
  readonly kind: CommandKind
  readonly text: string
  /** Whether a blank must follow the name. */
  readonly blank: boolean
}

const PUB: CommandName = { kind: 'pub', text: 'PUB', blank: true }
const NAMES: readonly CommandName[] = [
  PUB,
  { kind: 'hpub', text: 'HPUB', blank: true },
  { kind: 'sub', text: 'SUB', blank: true },
  { kind: 'unsub', text: 'UNSUB', blank: true },
  { kind: 'connect', text: 'CONNECT', blank: false },
  { kind: 'ping', text: 'PING', blank: false },
  { kind: 'pong', text: 'PONG', blank: false },
  { kind: 'ignored', text: '+OK', blank: false },
  { kind: 'err', text: '-ERR', blank: true },
  { kind: 'ignored', text: 'INFO', blank: true },
]

function commandAt(bytes: Buffer, start: number, end: number): CommandName | undefined {
  // The common case first and without a loop.
  if (bytes[start] === 0x50 && bytes[start + 1] === 0x55 && bytes[start + 2] === 0x42) {
    return isBlank(bytes[start + 3]) && start + 3 < end ? PUB : undefined
  }
  for (const name of NAMES) {
    const after = start + name.text.length
    if (after > end || !startsWith(bytes, start, name.text)) continue
    return name.blank && !(after < end && isBlank(bytes[after])) ? undefined : name
  }
  return undefined
}

/** Whether an unfinished line can still become a command, so that garbage is answered at once. */
function couldBeCommand(line: Buffer): boolean {
  for (const name of NAMES) {
    const length = Math.min(line.length, name.text.length)
    if (!startsWith(line, 0, name.text.slice(0, length))) continue
    if (!name.blank || line.length <= length || isBlank(line[length])) return true
  }
  return false
}

function tooLong(bytes: Buffer, start: number): string {
  return commandAt(bytes, start, bytes.length) === undefined
    ? ErrorText.unknownOperation
    : ErrorText.maxControlLine
}

/** Letters compare without case: setting bit 5 makes both lower case, and no sign a letter. */
function startsWith(bytes: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const wanted = text.charCodeAt(i)
    const got = bytes[start + i] ?? 0
    if (got !== wanted && !(wanted >= 0x41 && wanted <= 0x5a && got === (wanted | 0x20)))
      return false
  }
  return true
}

function isBlank(c: number | undefined): boolean {
  return c === 0x20 || c === 0x09
}
