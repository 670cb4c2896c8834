import { BusError } from '../bus.ts'
import { BUS_ERROR_TEXT } from './bus-error-text.ts'

type Pending<Message> = {
  readonly subject: string
  readonly resolve: (message: Message) => void
  readonly reject: (error: BusError) => void
  readonly timer: NodeJS.Timeout
}

/**
 * The requests of one connection that wait for their answer: one inbox for all of them, a token for
 * each. A request costs a promise, a timer and an entry here.
 */
export class PendingRequests<Message extends { readonly subject: string }> {
  readonly #inbox: string
  readonly #pending = new Map<string, Pending<Message>>()
  #next = 1

  /** `inbox`: a subject of the connection's own. */
  constructor(inbox: string) {
    this.#inbox = inbox
  }

  /** What has to be subscribed, with `answered` for its messages, before the first request. */
  get subject(): string {
    return `${this.#inbox}.*`
  }

  /** The answer rejects with BusError 'timeout', or with what `fail` is told. */
  open(
    subject: string,
    timeoutMs: number,
  ): { readonly reply: string; readonly answer: Promise<Message> } {
    const reply = `${this.#inbox}.${(this.#next++).toString(36)}`
    const answer = new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.fail(reply, new BusError('timeout', BUS_ERROR_TEXT.timeout))
      }, timeoutMs)
      this.#pending.set(reply, { subject, resolve, reject, timer })
    })
    return { reply, answer }
  }

  /** A message on the inbox; one that nobody waits for any more is dropped. */
  answered(message: Message): void {
    this.#take(message.subject)?.resolve(message)
  }

  fail(reply: string, error: BusError): void {
    this.#take(reply)?.reject(error)
  }

  /** Fails every request, or those on one subject. */
  failAll(error: BusError, subject?: string): void {
    for (const [reply, pending] of this.#pending) {
      if (subject === undefined || pending.subject === subject) this.fail(reply, error)
    }
  }

  #take(reply: string): Pending<Message> | undefined {
    const pending = this.#pending.get(reply)
    if (pending === undefined) return undefined
    this.#pending.delete(reply)
    clearTimeout(pending.timer)
    return pending
  }
}
