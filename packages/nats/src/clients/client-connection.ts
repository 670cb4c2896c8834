import type { Socket } from 'node:net'
import {
  CommandParser,
  type CommandSink,
  type SubscribeRequest,
} from '../protocol/command-parser.ts'
import { DEFAULT_CONNECT_OPTIONS, parseConnect } from '../protocol/connect-options.ts'
import { ErrorText } from '../errors.ts'
import type { NatsLimits } from '../limits.ts'
import { FrameWriter } from '../protocol/message-frame.ts'
import { Outbox, type OutboxShared } from './outbox.ts'
import type { Publication } from '../routing/publication.ts'
import type { Router } from '../routing/router.ts'
import { isLiteralSubject, isValidSubject } from '../routing/subject.ts'
import { Subscription, type Subscriber } from '../routing/subscription.ts'

/**
 * One client over TCP: carries out its commands and writes what it subscribed to.
 *
 * It ends once, for one reason: the client left, broke the protocol, was too slow to read, did not
 * answer pings, or the server closed. Ending frees everything it holds; nothing is routed to it
 * afterwards.
 */
export class ClientConnection implements Subscriber, CommandSink {
  readonly id: number
  readonly #socket: Socket
  readonly #router: Router
  readonly #limits: NatsLimits
  readonly #onEnd: (client: ClientConnection, reason: string) => void
  readonly #parser: CommandParser
  readonly #outboxes: OutboxShared
  readonly #outbox: Outbox
  readonly #frames: FrameWriter
  readonly #subscriptions = new Map<string, Subscription>()
  #options = DEFAULT_CONNECT_OPTIONS
  #ended = false
  #held = false
  #relief: (() => void)[] = []
  #lastHeardMs = performance.now()
  #pingsOut = 0

  constructor(socket: Socket, context: ClientContext) {
    this.id = context.id
    this.#socket = socket
    this.#router = context.router
    this.#limits = context.limits
    this.#onEnd = context.onEnd
    this.#parser = new CommandParser(this, context.limits)
    this.#outboxes = context.outboxes
    this.#outbox = new Outbox(socket, context.outboxes, () => this.#relieve())
    this.#frames = new FrameWriter(this.#outbox)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#end(`socket error: ${error.message}`))
    socket.on('close', () => this.#end('client closed'))
    this.#outbox.writeText(`INFO ${context.info} \r\n`)
  }

  get name(): string {
    return this.#options.name
  }

  get echo(): boolean {
    return this.#options.echo
  }

  get acceptsHeaders(): boolean {
    return this.#options.headers
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size
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

  deliver(subscription: Subscription, publication: Publication): void {
    if (this.#ended) return
    this.#frames.write(subscription, publication, this.#options.headers)
    const mine = this.#outbox.pendingBytes
    if (mine <= this.#limits.congestedBytes) return
    const all = this.#outboxes.pendingBytes
    if (mine > this.#limits.maxPendingBytes || all > this.#limits.maxTotalPendingBytes) {
      this.cutAsSlow()
    }
  }

  expired(subscription: Subscription): void {
    this.#subscriptions.delete(subscription.sid)
  }

  onConnect(json: string): void {
    const options = parseConnect(json, this.#options)
    if (options === undefined) return this.#end('malformed CONNECT')
    this.#options = options
    if (options.protocol !== 0 && options.protocol !== 1) {
      return this.refuse(ErrorText.invalidProtocol)
    }
    if (options.noResponders && !options.headers) {
      return this.refuse(ErrorText.noRespondersRequiresHeaders)
    }
    this.#confirm()
  }

  onPublish(publication: Publication): void {
    this.#confirm()
    if (this.#options.pedantic && !isLiteralSubject(publication.subject)) {
      this.#sendError(ErrorText.invalidPublishSubject)
    }
    const delivered = this.#router.route(publication, this)
    if (!delivered && publication.reply !== '' && this.#options.noResponders) {
      this.#sendNoResponders(publication)
    }
  }

  onSubscribe(request: SubscribeRequest): void {
    if (!isValidSubject(request.subject)) return this.#sendError(ErrorText.invalidSubject)
    if (this.#subscriptions.size >= this.#limits.maxSubscriptions) {
      return this.refuse(ErrorText.maxSubscriptions)
    }
    // A second SUB under the same name changes nothing: clients repeat theirs after a reconnect.
    if (!this.#subscriptions.has(request.sid)) {
      const subscription = new Subscription(this, request)
      this.#subscriptions.set(request.sid, subscription)
      this.#router.add(subscription)
    }
    this.#confirm()
  }

  onUnsubscribe(sid: string, max: number): void {
    const subscription = this.#subscriptions.get(sid)
    if (subscription !== undefined) {
      if (max > subscription.delivered) {
        subscription.max = max
      } else {
        this.#subscriptions.delete(sid)
        this.#router.remove(subscription)
      }
    }
    this.#confirm()
  }

  onPing(): void {
    this.#outbox.writeText('PONG\r\n')
  }

  onPong(): void {
    this.#pingsOut = 0
  }

  onProtocolError(text: string | undefined): void {
    if (text === undefined) this.#end('malformed command')
    else this.refuse(text)
  }

  /** Tells the client why and closes. */
  refuse(text: string): void {
    if (this.#ended) return
    this.#sendError(text)
    this.closeAfterFlush(text)
  }

  cutAsSlow(): void {
    this.#end('slow consumer')
  }

  /** Sends what waits (for at most a second) and closes; nothing more is read or delivered. */
  closeAfterFlush(reason: string): void {
    if (this.#ended) return
    this.#parser.stop()
    this.#outbox.flush()
    const socket = this.#socket
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
    this.#outbox.writeText('PING\r\n')
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return
    this.#lastHeardMs = performance.now()
    this.#pingsOut = 0
    this.#parser.parse(chunk)
    const congested = this.#router.takeCongested()
    if (congested !== undefined) this.#holdFor(congested)
  }

  /**
   * Back-pressure: reads no more from this publisher until every subscriber it just overfilled has
   * caught up, for at most `holdMaxMs`. TCP then slows the publisher down.
   */
  #holdFor(congested: ReadonlySet<Subscriber>): void {
    if (this.#held || this.#ended) return
    this.#held = true
    this.#socket.pause()
    let missing = congested.size
    const resume = (): void => {
      if (!this.#held) return
      this.#held = false
      clearTimeout(timer)
      this.#socket.resume()
    }
    const timer = setTimeout(resume, this.#limits.holdMaxMs)
    for (const subscriber of congested) {
      subscriber.onceRelieved(() => {
        missing--
        if (missing === 0) resume()
      })
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

  /** 503 to the requester's own inbox, so that it need not wait for its timeout. */
  #sendNoResponders(publication: Publication): void {
    const { plain } = this.#router.tree.match(publication.reply)
    for (const subscription of plain) {
      if (subscription.owner !== this) continue
      const headers = `NATS/1.0 503\r\nNats-Subject: ${publication.subject}\r\n\r\n`
      const line = `HMSG ${publication.reply} ${subscription.sid} ${headers.length} ${headers.length}`
      this.#outbox.writeText(`${line}\r\n${headers}\r\n`)
      return
    }
  }

  #confirm(): void {
    if (this.#options.verbose) this.#outbox.writeText('+OK\r\n')
  }

  #sendError(text: string): void {
    this.#outbox.writeText(`-ERR '${text}'\r\n`)
  }

  #end(reason: string): void {
    if (!this.#ended) this.#leave(reason)
    this.#outbox.close()
    this.#socket.destroy()
    this.#relieve()
  }

  #leave(reason: string): void {
    this.#ended = true
    this.#parser.stop()
    for (const subscription of this.#subscriptions.values()) this.#router.remove(subscription)
    this.#subscriptions.clear()
    this.#relieve()
    this.#onEnd(this, reason)
  }
}

/** What a connection is given by its server. */
export interface ClientContext {
  readonly id: number
  /** The JSON of INFO. */
  readonly info: string
  readonly router: Router
  readonly limits: NatsLimits
  readonly outboxes: OutboxShared
  readonly onEnd: (client: ClientConnection, reason: string) => void
}

const LINGER_MS = 1000
