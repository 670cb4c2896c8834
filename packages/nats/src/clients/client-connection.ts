import type { Socket } from 'node:net'
import type { Authenticator, Identity } from '../auth/authenticator.ts'
import { ErrorText, publishViolation, subscribeViolation, tooManyTokens } from '../errors.ts'
import type { NatsLimits } from '../limits.ts'
import {
  CommandParser,
  type CommandSink,
  type SubscribeRequest,
} from '../protocol/command-parser.ts'
import { DEFAULT_CONNECT_OPTIONS, parseConnect } from '../protocol/connect-options.ts'
import { FrameWriter } from '../protocol/message-frame.ts'
import type { Publication } from '../routing/publication.ts'
import type { Router } from '../routing/router.ts'
import { isLiteralSubject, isValidSubject } from '../routing/subject.ts'
import { Subscription, type Subscriber } from '../routing/subscription.ts'
import type { ClientEvent } from './client-event.ts'
import { Outbox, type OutboxShared } from './outbox.ts'
import { ReadHold } from './read-hold.ts'

/**
 * One client over TCP: carries out its commands and writes what it subscribed to.
 *
 *   unknown ── CONNECT with credentials, or none needed ──> known
 *
 * While it is unknown and the server asks for credentials, any other command ends it, and so does
 * the authentication timeout. It ends once, for one reason: the client left, broke the protocol,
 * was too slow to read, did not answer pings, or the server closed. Ending frees everything it
 * holds; nothing is routed to it afterwards.
 */
export class ClientConnection implements Subscriber, CommandSink {
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
  readonly #parser: CommandParser
  readonly #outbox: Outbox
  readonly #frames: FrameWriter
  readonly #hold: ReadHold
  readonly #subscriptions = new Map<string, Subscription>()
  #identity: Identity | undefined
  #authTimer: NodeJS.Timeout | undefined
  #options = DEFAULT_CONNECT_OPTIONS
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
    this.#parser = new CommandParser(this, context.limits)
    this.#outbox = new Outbox(socket, context.outboxes, () => this.#relieve())
    this.#frames = new FrameWriter(this.#outbox)
    this.#hold = new ReadHold(socket, context.limits.holdMaxMs)
    if (context.authenticator.required) {
      const { timeoutMs } = context.authenticator
      this.#authTimer = setTimeout(() => this.refuse(ErrorText.authTimeout), timeoutMs)
    }
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#end(`socket error: ${error.message}`))
    socket.on('close', () => this.#end('client closed'))
    if (context.greeting !== undefined) this.sendInfo(context.greeting)
  }

  get name(): string {
    return this.#options.name
  }

  get options(): { readonly lang: string; readonly version: string; readonly protocol: number } {
    return this.#options
  }

  /** '' while nobody is known, or when everybody may connect. */
  get user(): string {
    return this.#identity?.user ?? ''
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

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions
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

  deliver(subscription: Subscription, publication: Publication): void {
    if (this.#ended) return
    this.#frames.write(subscription, publication, this.#options.headers)
    this.traffic.outMessages++
    this.traffic.outBytes += publication.end - publication.start
    const permissions = this.#identity?.permissions
    if (permissions?.tracksReplies === true && publication.reply !== '') {
      permissions.noteReply(publication.reply, performance.now())
    }
    this.#cutAboveBound()
  }

  expired(subscription: Subscription): void {
    this.#subscriptions.delete(subscription.sid)
  }

  /** INFO again tells a client what has changed, if it said that it understands (protocol 1). */
  sendInfo(json: string): void {
    this.#outbox.writeText(`INFO ${json} \r\n`)
  }

  onConnect(json: string): void {
    const credentials = parseConnect(json, this.#options)
    if (credentials === undefined) return this.#end('malformed CONNECT')
    this.#options = credentials
    const { authenticator, nonce, certificateNames } = this.#context
    const found = authenticator.check({ credentials, nonce, certificateNames })
    if (!(found instanceof Promise)) return this.#enter(found)
    // It has said who it is; what follows takes the server's time.
    clearTimeout(this.#authTimer)
    this.#parser.pause()
    this.socket.pause()
    // It never rejects; a failed thread counts as a wrong password.
    void found.then((identity) => {
      if (this.#ended) return
      this.#enter(identity)
      this.socket.resume()
      this.#parser.resume()
    })
  }

  onPublish(publication: Publication): void {
    const identity = this.#identity ?? this.#assume()
    if (identity === undefined) return
    this.traffic.inMessages++
    this.traffic.inBytes += publication.end - publication.start
    if (this.#options.pedantic && !isLiteralSubject(publication.subject)) {
      this.#sendError(ErrorText.invalidPublishSubject)
    }
    const { permissions } = identity
    if (permissions !== undefined && !permissions.mayPublish(publication.subject)) {
      return this.#sendViolation(publishViolation(publication.subject))
    }
    this.#confirm()
    const delivered = this.#router.route(publication, this)
    if (!delivered && publication.reply !== '' && this.#options.noResponders) {
      this.#sendNoResponders(publication)
    }
  }

  onSubscribe(request: SubscribeRequest): void {
    const identity = this.#identity ?? this.#assume()
    if (identity === undefined) return
    const { subject, queue, sid } = request
    const verdict = identity.permissions?.judgeSubscription(subject, queue)
    if (verdict?.kind === 'refused') return this.#sendViolation(subscribeViolation(request))
    const { maxSubscriptionTokens, maxSubscriptions, maxTotalSubscriptions } = this.#limits
    if (maxSubscriptionTokens > 0 && subject.split('.').length > maxSubscriptionTokens) {
      return this.#sendViolation(tooManyTokens(subject))
    }
    const all = this.#router.tree.size
    if (this.#subscriptions.size >= maxSubscriptions || all >= maxTotalSubscriptions) {
      return this.#sendError(ErrorText.maxSubscriptions)
    }
    // A second SUB under the same name changes nothing: clients repeat theirs after a reconnect.
    if (!this.#subscriptions.has(sid)) {
      if (!isValidSubject(subject)) return this.#sendError(ErrorText.invalidSubject)
      const subscription = new Subscription(this, request)
      if (verdict?.kind === 'filtered') subscription.denies = verdict.denies
      this.#subscriptions.set(sid, subscription)
      this.#router.add(subscription)
    }
    this.#confirm()
  }

  onUnsubscribe(sid: string, max: number): void {
    if (this.#identity === undefined && this.#assume() === undefined) return
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
    if (this.#identity === undefined && this.#assume() === undefined) return
    this.#outbox.writeText('PONG\r\n')
  }

  onPong(): void {
    if (this.#identity === undefined && this.#assume() === undefined) return
    if (this.#pingedAtMs > 0) this.traffic.rttMs = performance.now() - this.#pingedAtMs
    this.#pingedAtMs = 0
    this.#pingsOut = 0
  }

  onProtocolError(text: string | undefined): void {
    const stranger = this.#identity === undefined && this.#context.authenticator.required
    if (stranger && text === ErrorText.unknownOperation) this.refuse(ErrorText.authorization)
    else if (text === undefined) this.#end('malformed command')
    else this.refuse(text)
  }

  /** Tells the client why and closes. */
  refuse(text: string): void {
    if (this.#ended) return
    this.#sendError(text)
    this.closeAfterFlush(text)
  }

  cutAsSlow(): void {
    if (!this.#ended) this.#context.onEvent({ kind: 'slow-consumer', id: this.id, name: this.name })
    this.#end('slow consumer')
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
    this.#parser.parse(chunk)
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

  /** A client that did not send CONNECT: whoever that may be, or the end of it. */
  #assume(): Identity | undefined {
    const identity = this.#context.authenticator.unannounced
    if (identity === undefined) this.refuse(ErrorText.authorization)
    else this.#become(identity)
    return identity
  }

  /** After CONNECT. */
  #enter(identity: Identity | undefined): void {
    if (identity === undefined) {
      this.#context.onEvent({ kind: 'unauthorized', id: this.id, user: this.#options.user })
      return this.refuse(ErrorText.authorization)
    }
    const { protocol, noResponders, headers } = this.#options
    if (protocol !== 0 && protocol !== 1) return this.refuse(ErrorText.invalidProtocol)
    if (noResponders && !headers) return this.refuse(ErrorText.noRespondersRequiresHeaders)
    this.#become(identity)
    const { name, lang, version } = this.#options
    const { user } = identity
    this.#context.onEvent({ kind: 'client-connected', id: this.id, name, lang, version, user })
    this.#confirm()
  }

  #become(identity: Identity): void {
    clearTimeout(this.#authTimer)
    this.#identity = identity
    // Only after a second CONNECT are there any: what the new user may not read ends.
    for (const subscription of this.#subscriptions.values()) {
      const { subject, queue, sid } = subscription
      const verdict = identity.permissions?.judgeSubscription(subject, queue)
      subscription.denies = verdict?.kind === 'filtered' ? verdict.denies : undefined
      if (verdict?.kind !== 'refused') continue
      this.#subscriptions.delete(sid)
      this.#router.remove(subscription)
      this.#sendViolation(subscribeViolation(subscription))
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

  #sendViolation(text: string): void {
    this.#context.onEvent({ kind: 'permission-violation', id: this.id, user: this.user, text })
    this.#sendError(text)
  }

  #end(reason: string): void {
    if (!this.#ended) this.#leave(reason)
    this.#outbox.close()
    this.socket.destroy()
    this.#relieve()
  }

  #leave(reason: string): void {
    this.#ended = true
    clearTimeout(this.#authTimer)
    this.#parser.stop()
    for (const subscription of this.#subscriptions.values()) this.#router.remove(subscription)
    this.#subscriptions.clear()
    this.#relieve()
    this.#context.onEnd(this, reason)
  }
}

/** What a connection is given by its server. */
export interface ClientContext {
  readonly id: number
  /** The JSON of INFO; undefined when it was sent already, before the TLS handshake. */
  readonly greeting: string | undefined
  /** What INFO asks to be signed, '' for nothing. */
  readonly nonce: string
  /** Where the client's certificate says who it is: the names in it. */
  readonly certificateNames: readonly string[] | undefined
  readonly authenticator: Authenticator
  readonly router: Router
  readonly limits: NatsLimits
  readonly outboxes: OutboxShared
  readonly onEnd: (client: ClientConnection, reason: string) => void
  readonly onEvent: (event: ClientEvent) => void
}

/** What went through one connection, for monitoring. */
export interface ClientTraffic {
  inMessages: number
  inBytes: number
  outMessages: number
  outBytes: number
  /** Unix time. */
  readonly startedAtMs: number
  /** How long the last ping took to be answered; undefined before the first. */
  rttMs: number | undefined
}

const LINGER_MS = 1000
const DISCARDED_MAX_BYTES = 1024 * 1024
