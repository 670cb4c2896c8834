import type { Socket } from 'node:net'
import { ErrorText } from '../errors.ts'
import type { NatsLimits } from '../limits.ts'
import { CommandParser } from '../protocol/command-parser.ts'
import { FrameWriter } from '../protocol/message-frame.ts'
import type { Publication } from '../routing/publication.ts'
import type { Router } from '../routing/router.ts'
import type { Subscription } from '../routing/subscription.ts'
import type { ClientContext, ClientTraffic } from './client-context.ts'
import { type ClientLine, ClientSession } from './client-session.ts'
import { freeNow } from './free-now.ts'
import { Outbox } from './outbox.ts'
import { ReadHold } from './read-hold.ts'

/**
 * One client over TCP: reads its commands for the session, and writes what it subscribed to.
 *
 * It ends once, for one reason: the client left, broke the protocol, was too slow to read, did not
 * answer pings, or the server closed. Ending frees everything it holds; nothing is routed to it
 * afterwards.
 */
export class ClientConnection implements ClientLine {
  readonly id: number
  readonly socket: Socket
  readonly traffic: ClientTraffic = {
    inMessages: 0,
    inBytes: 0,
    outMessages: 0,
    outBytes: 0,
    startedAtMs: Date.now(),
    rttMs: undefined,
  }
  readonly #context: ClientContext
  readonly #router: Router
  readonly #limits: NatsLimits
  readonly #session: ClientSession
  readonly #parser: CommandParser
  readonly #outbox: Outbox
  readonly #frames: FrameWriter
  readonly #hold: ReadHold
  #ended = false
  #relief: (() => void)[] = []
  #lastHeardMs = performance.now()
  #pingsOut = 0
  #pingedAtMs = 0
  #discardedBytes = 0

  constructor(socket: Socket, context: ClientContext) {
    this.id = context.id
    this.socket = socket
    this.#context = context
    this.#router = context.router
    this.#limits = context.limits
    this.#session = new ClientSession(this, context)
    this.#parser = new CommandParser(this.#session, context.limits)
    this.#outbox = new Outbox(socket, context.outboxes, () => this.#relieve())
    this.#frames = new FrameWriter(this.#outbox)
    this.#hold = new ReadHold(socket, context.limits.holdMaxMs)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.end(`socket error: ${error.message}`))
    socket.on('close', () => this.end('client closed'))
    if (context.greeting !== undefined) this.sendInfo(context.greeting)
  }

  get name(): string {
    return this.#session.options.name
  }

  get options(): { readonly lang: string; readonly version: string; readonly protocol: number } {
    return this.#session.options
  }

  /** '' while nobody is known, or when everybody may connect. */
  get user(): string {
    return this.#session.user
  }

  get echo(): boolean {
    return this.#session.options.echo
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#session.subscriptions
  }

  /** Milliseconds since it sent or was sent something. */
  idleMs(nowMs: number): number {
    return nowMs - Math.max(this.#lastHeardMs, this.#outbox.lastWriteAtMs)
  }

  get congested(): boolean {
    if (this.#outbox.pendingBytes <= this.#limits.congestedBytes) return false
    const writingSince = this.#outbox.writeStartedAtMs
    if (writingSince === undefined) return true
    return performance.now() - writingSince < this.#limits.stuckAfterMs
  }

  onceRelieved(callback: () => void): void {
    if (this.congested) this.#relief.push(callback)
    else callback()
  }

  deliver(subscription: Subscription, publication: Publication): boolean {
    if (this.#ended) return false
    const { headers } = this.#session.options
    const keepsView = this.#frames.write(subscription, publication, headers)
    this.traffic.outMessages++
    this.traffic.outBytes += publication.end - publication.start
    const permissions = this.#session.identity?.permissions
    if (permissions?.tracksReplies === true && publication.reply !== '') {
      permissions.noteReply(publication.reply, performance.now())
    }
    this.#cutAboveBound()
    return keepsView
  }

  expired(subscription: Subscription): void {
    this.#session.subscriptions.delete(subscription.sid)
  }

  /** A byte string (subject.ts), in order with the messages delivered. */
  write(text: string): void {
    // What a command answers after it ended the connection would be counted for ever.
    if (!this.#ended) this.#outbox.writeText(text)
  }

  /** INFO again tells a client what has changed, if it said that it understands (protocol 1). */
  sendInfo(json: string): void {
    this.#outbox.writeText(`INFO ${json} \r\n`)
  }

  answered(): void {
    if (this.#pingedAtMs > 0) this.traffic.rttMs = performance.now() - this.#pingedAtMs
    this.#pingedAtMs = 0
    this.#pingsOut = 0
  }

  pause(): void {
    this.#parser.pause()
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
    this.#parser.resume()
  }

  /** Tells the client why and closes. */
  refuse(text: string): void {
    if (this.#ended) return
    this.write(`-ERR '${text}'\r\n`)
    this.closeAfterFlush(text)
  }

  /** Closes without a word. */
  end(reason: string): void {
    if (!this.#ended) this.#leave(reason)
    this.#outbox.close()
    this.socket.destroy()
    this.#relieve()
  }

  cutAsSlow(): void {
    if (!this.#ended) this.#context.onEvent({ kind: 'slow-consumer', id: this.id, name: this.name })
    this.end('slow consumer')
  }

  /** Sends what waits (for at most a second) and closes; nothing more is read or delivered. */
  closeAfterFlush(reason: string): void {
    if (this.#ended) return
    this.#parser.stop()
    this.#outbox.flush()
    const socket = this.socket
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
    this.#outbox.onceEmpty(() => socket.end())
    this.#leave(reason)
  }

  /** Called about once a second: cuts the stuck and the silent. */
  check(nowMs: number): void {
    const writingSince = this.#outbox.writeStartedAtMs
    if (writingSince !== undefined && nowMs - writingSince > this.#limits.writeDeadlineMs) {
      return this.cutAsSlow()
    }
    if (nowMs - this.#lastHeardMs < this.#limits.pingIntervalMs * (this.#pingsOut + 1)) return
    if (this.#pingsOut >= this.#limits.pingMax) return this.refuse(ErrorText.staleConnection)
    this.#pingsOut++
    this.#pingedAtMs = nowMs
    this.#outbox.writeText('PING\r\n')
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return this.#discard(chunk.length)
    this.#lastHeardMs = performance.now()
    this.#pingsOut = 0
    const { viewed } = this.#parser.parse(chunk)
    if (!viewed && chunk.length >= FREED_MIN_BYTES && isAlone(chunk)) freeNow(chunk.buffer)
    if (this.#ended) return
    // Its own answers wait too, where a client asks and does not read.
    this.#cutAboveBound()
    const congested = this.#router.takeCongested()
    if (congested !== undefined) this.#hold.holdFor(congested)
    else if (this.congested) this.#hold.holdFor(new Set([this]))
  }

  /**
   * What still comes from a client that was sent away is read, because closing with bytes unread
   * would reset the connection and with it the reason just sent; but not without end.
   */
  #discard(bytes: number): void {
    this.#discardedBytes += bytes
    if (this.#discardedBytes > DISCARDED_MAX_BYTES) this.socket.destroy()
  }

  #cutAboveBound(): void {
    const mine = this.#outbox.pendingBytes
    if (mine <= this.#limits.congestedBytes) return
    const all = this.#context.outboxes.pendingBytes
    if (mine > this.#limits.maxPendingBytes || all > this.#limits.maxTotalPendingBytes) {
      this.cutAsSlow()
    }
  }

  #relieve(): void {
    // Half the mark, so that a publisher is not stopped and started for every write.
    if (this.#relief.length === 0) return
    if (!this.#ended && this.#outbox.pendingBytes > this.#limits.congestedBytes / 2) return
    const waiting = this.#relief
    this.#relief = []
    for (const callback of waiting) callback()
  }

  #leave(reason: string): void {
    this.#ended = true
    this.#parser.stop()
    this.#session.leave()
    this.#relieve()
    this.#context.onEnd(reason)
  }
}

/** Small chunks are not worth the call. */
const FREED_MIN_BYTES = 16 * 1024

/** Whether no other buffer shares its memory, as in those that sockets read into. */
function isAlone({ length, buffer }: Buffer): boolean {
  return length === buffer.byteLength
}

const LINGER_MS = 1000
const DISCARDED_MAX_BYTES = 1024 * 1024
