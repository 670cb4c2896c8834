/** Answers publishers on their NATS inboxes. */
import { decodeText, targetSubjectProblem, type AckFields } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Logger } from '../logging/logger.ts'
import { wireError, type AckSink, type AckSource } from './ack.ts'

/** Characters of a refused inbox in the log: it may be as long as a message. */
const INBOX_SHOWN = 200

/**
 * Sends each ack to the inbox that its message names. An inbox is a literal subject outside the
 * cluster's own, except below `<namespace>.ack.`, where other servers wait for acks
 * [reliability A4]; to anything else nothing is sent.
 */
export class NatsAcks implements AckSink {
  readonly #bus: Bus
  readonly #namespace: string
  readonly #logger: Logger
  #lastInbox = ''
  #lastAllowed = false

  constructor(options: { readonly bus: Bus; readonly namespace: string; readonly logger: Logger }) {
    this.#bus = options.bus
    this.#namespace = options.namespace
    this.#logger = options.logger
  }

  deliver(source: AckSource, ack: AckFields): void {
    if (ack.ackInboxEnd <= ack.ackInboxStart) return
    const inbox = decodeText(ack.ackInbox, ack.ackInboxStart, ack.ackInboxEnd)
    if (!this.#allowed(inbox)) return
    ack.ackError = wireError(ack.ackError)
    const envelope = new Uint8Array(source.envelopes.size(ack))
    source.envelopes.write(envelope, 0, ack)
    try {
      this.#bus.publish(inbox, envelope)
    } catch (error) {
      // The message is stored all the same; its publisher sees a timeout [reliability D5].
      this.#logger.limited('nats-ack', 'warn', 'an ack could not be sent', {
        stream: source.stream,
        partition: source.partition,
        reason: error instanceof Error ? error.message : String(error),
      })
    }
  }

  flush(): void {
    // The bus writes once per turn by itself.
  }

  #allowed(inbox: string): boolean {
    if (inbox === this.#lastInbox) return this.#lastAllowed
    this.#lastInbox = inbox
    this.#lastAllowed =
      targetSubjectProblem(this.#namespace, inbox) === undefined || this.#isServerInbox(inbox)
    if (!this.#lastAllowed) {
      this.#logger.limited('nats-inbox', 'warn', 'an ack inbox was refused', {
        inbox: inbox.slice(0, INBOX_SHOWN),
      })
    }
    return this.#lastAllowed
  }

  #isServerInbox(inbox: string): boolean {
    const prefix = `${this.#namespace}.ack.`
    return inbox.startsWith(prefix) && /^[A-Za-z0-9]+$/.test(inbox.slice(prefix.length))
  }
}
