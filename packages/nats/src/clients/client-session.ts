import type { Identity } from '../auth/authenticator.ts'
import { ErrorText, publishViolation, subscribeViolation, tooManyTokens } from '../errors.ts'
import type { NatsLimits } from '../limits.ts'
import type { CommandSink, SubscribeRequest } from '../protocol/command-parser.ts'
import {
  type ConnectOptions,
  DEFAULT_CONNECT_OPTIONS,
  parseConnect,
} from '../protocol/connect-options.ts'
import type { Publication } from '../routing/publication.ts'
import type { Router } from '../routing/router.ts'
import { isLiteralSubject, isValidSubject } from '../routing/subject.ts'
import { Subscription, type Subscriber } from '../routing/subscription.ts'
import type { ClientContext, ClientTraffic } from './client-context.ts'

/**
 * Who a client is and what it has asked for: carries out its commands.
 *
 *   unknown ── CONNECT with credentials, or none needed ──> known
 *
 * While it is unknown and the server asks for credentials, any other command ends it, and so does
 * the authentication timeout.
 */
export class ClientSession implements CommandSink {
  /** What the client said in CONNECT. */
  options: ConnectOptions = DEFAULT_CONNECT_OPTIONS
  /** Undefined while nobody is known. */
  identity: Identity | undefined
  /** By the names that the client gave them. */
  readonly subscriptions: Map<string, Subscription> = new Map<string, Subscription>()
  readonly #line: ClientLine
  readonly #context: ClientContext
  readonly #router: Router
  readonly #limits: NatsLimits
  #authTimer: NodeJS.Timeout | undefined
  #left = false

  constructor(line: ClientLine, context: ClientContext) {
    this.#line = line
    this.#context = context
    this.#router = context.router
    this.#limits = context.limits
    if (context.authenticator.required) {
      const { timeoutMs } = context.authenticator
      this.#authTimer = setTimeout(() => line.refuse(ErrorText.authTimeout), timeoutMs)
    }
  }

  /** '' while nobody is known, or when everybody may connect. */
  get user(): string {
    return this.identity?.user ?? ''
  }

  get acceptsHeaders(): boolean {
    return this.options.headers
  }

  /** Frees everything it holds; no command may follow. */
  leave(): void {
    this.#left = true
    clearTimeout(this.#authTimer)
    for (const subscription of this.subscriptions.values()) this.#router.remove(subscription)
    this.subscriptions.clear()
  }

  onConnect(json: string): void {
    const credentials = parseConnect(json, this.options)
    if (credentials === undefined) return this.#line.end('malformed CONNECT')
    this.options = credentials
    const { authenticator, nonce, certificateNames } = this.#context
    const found = authenticator.check({ credentials, nonce, certificateNames })
    if (!(found instanceof Promise)) return this.#enter(found)
    // It has said who it is; what follows takes the server's time.
    clearTimeout(this.#authTimer)
    this.#line.pause()
    // It never rejects; a failed thread counts as a wrong password.
    void found.then((identity) => {
      if (this.#left) return
      this.#enter(identity)
      this.#line.resume()
    })
  }

  onPublish(publication: Publication): void {
    const identity = this.identity ?? this.#assume()
    if (identity === undefined) return
    this.#line.traffic.inMessages++
    this.#line.traffic.inBytes += publication.end - publication.start
    if (this.options.pedantic && !isLiteralSubject(publication.subject)) {
      this.#sendError(ErrorText.invalidPublishSubject)
    }
    const { permissions } = identity
    if (permissions !== undefined && !permissions.mayPublish(publication.subject)) {
      return this.#sendViolation(publishViolation(publication.subject))
    }
    this.#confirm()
    const delivered = this.#router.route(publication, this.#line)
    if (!delivered && publication.reply !== '' && this.options.noResponders) {
      this.#sendNoResponders(publication)
    }
  }

  onSubscribe(request: SubscribeRequest): void {
    const identity = this.identity ?? this.#assume()
    if (identity === undefined) return
    const { subject, queue, sid } = request
    const verdict = identity.permissions?.judgeSubscription(subject, queue)
    if (verdict?.kind === 'refused') return this.#sendViolation(subscribeViolation(request))
    const { maxSubscriptionTokens, maxSubscriptions, maxTotalSubscriptions } = this.#limits
    if (maxSubscriptionTokens > 0 && subject.split('.').length > maxSubscriptionTokens) {
      return this.#sendViolation(tooManyTokens(subject))
    }
    const all = this.#router.tree.size
    if (this.subscriptions.size >= maxSubscriptions || all >= maxTotalSubscriptions) {
      return this.#sendError(ErrorText.maxSubscriptions)
    }
    // A second SUB under the same name changes nothing: clients repeat theirs after a reconnect.
    if (!this.subscriptions.has(sid)) {
      if (!isValidSubject(subject)) return this.#sendError(ErrorText.invalidSubject)
      const subscription = new Subscription(this.#line, request)
      if (verdict?.kind === 'filtered') subscription.denies = verdict.denies
      this.subscriptions.set(sid, subscription)
      this.#router.add(subscription)
    }
    this.#confirm()
  }

  onUnsubscribe(sid: string, max: number): void {
    if (this.identity === undefined && this.#assume() === undefined) return
    const subscription = this.subscriptions.get(sid)
    if (subscription !== undefined) {
      if (max > subscription.delivered) {
        subscription.max = max
      } else {
        this.subscriptions.delete(sid)
        this.#router.remove(subscription)
      }
    }
    this.#confirm()
  }

  onPing(): void {
    if (this.identity === undefined && this.#assume() === undefined) return
    this.#line.write('PONG\r\n')
  }

  onPong(): void {
    if (this.identity === undefined && this.#assume() === undefined) return
    this.#line.answered()
  }

  onProtocolError(text: string | undefined): void {
    const stranger = this.identity === undefined && this.#context.authenticator.required
    if (stranger && text === ErrorText.unknownOperation) this.#line.refuse(ErrorText.authorization)
    else if (text === undefined) this.#line.end('malformed command')
    else this.#line.refuse(text)
  }

  /** A client that did not send CONNECT: whoever that may be, or the end of it. */
  #assume(): Identity | undefined {
    const identity = this.#context.authenticator.unannounced
    if (identity === undefined) this.#line.refuse(ErrorText.authorization)
    else this.#become(identity)
    return identity
  }

  /** After CONNECT. */
  #enter(identity: Identity | undefined): void {
    if (identity === undefined) {
      this.#context.onEvent({ kind: 'unauthorized', id: this.#line.id, user: this.options.user })
      return this.#line.refuse(ErrorText.authorization)
    }
    const { protocol, noResponders, headers } = this.options
    if (protocol !== 0 && protocol !== 1) return this.#line.refuse(ErrorText.invalidProtocol)
    if (noResponders && !headers) return this.#line.refuse(ErrorText.noRespondersRequiresHeaders)
    this.#become(identity)
    const { name, lang, version } = this.options
    const { user } = identity
    this.#context.onEvent({
      kind: 'client-connected',
      id: this.#line.id,
      name,
      lang,
      version,
      user,
    })
    this.#confirm()
  }

  #become(identity: Identity): void {
    clearTimeout(this.#authTimer)
    this.identity = identity
    // Only after a second CONNECT are there any: what the new user may not read ends.
    for (const subscription of this.subscriptions.values()) {
      const { subject, queue, sid } = subscription
      const verdict = identity.permissions?.judgeSubscription(subject, queue)
      subscription.denies = verdict?.kind === 'filtered' ? verdict.denies : undefined
      if (verdict?.kind !== 'refused') continue
      this.subscriptions.delete(sid)
      this.#router.remove(subscription)
      this.#sendViolation(subscribeViolation(subscription))
    }
  }

  /** 503 to the requester's own inbox, so that it need not wait for its timeout. */
  #sendNoResponders(publication: Publication): void {
    const { plain } = this.#router.tree.match(publication.reply)
    for (const subscription of plain) {
      if (subscription.owner !== this.#line) continue
      const headers = `NATS/1.0 503\r\nNats-Subject: ${publication.subject}\r\n\r\n`
      const line = `HMSG ${publication.reply} ${subscription.sid} ${headers.length} ${headers.length}`
      this.#line.write(`${line}\r\n${headers}\r\n`)
      return
    }
  }

  #confirm(): void {
    if (this.options.verbose) this.#line.write('+OK\r\n')
  }

  #sendError(text: string): void {
    this.#line.write(`-ERR '${text}'\r\n`)
  }

  #sendViolation(text: string): void {
    this.#context.onEvent({
      kind: 'permission-violation',
      id: this.#line.id,
      user: this.user,
      text,
    })
    this.#sendError(text)
  }
}

/** The connection of a session, as its commands see it. */
export interface ClientLine extends Subscriber {
  readonly id: number
  readonly traffic: ClientTraffic
  /** A byte string (subject.ts), in order with the messages delivered. */
  write(text: string): void
  /** Tells the client why and closes. */
  refuse(text: string): void
  /** Closes without a word. */
  end(reason: string): void
  /** Reads no further commands until `resume`. */
  pause(): void
  resume(): void
  /** The client has answered a PING. */
  answered(): void
}
