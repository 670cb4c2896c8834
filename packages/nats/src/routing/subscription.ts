import type { Publication } from './publication.ts'

/** Who holds subscriptions: a TCP client or a connection inside this process. */
export interface Subscriber {
  /** False: it does not get what it published itself. */
  readonly echo: boolean
  /** Bytes that wait for it. */
  readonly pendingBytes: number
  /** True while more than `congestedBytes` wait for it. */
  readonly congested: boolean
  /**
   * Takes one message. It must not run foreign code before it returns. Returns whether it keeps a
   * view of the bytes; else it has copied them.
   */
  deliver(subscription: Subscription, publication: Publication): boolean
  /** The subscription got its last message (UNSUB with a count) and is no longer in the tree. */
  expired(subscription: Subscription): void
  /** Calls back once when it is no longer congested, or gone. */
  onceRelieved(callback: () => void): void
}

/** One SUB. Mutable fields belong to the router and to the owner. */
export class Subscription {
  readonly owner: Subscriber
  /** The client's name for it, unique per owner. */
  readonly sid: string
  readonly subject: string
  /** '' for none. */
  readonly queue: string
  /** Messages delivered so far; with `max` > 0 the subscription ends when it reaches that. */
  delivered = 0
  max = 0
  /** No longer in the tree; a message being routed must not reach it any more. */
  closed = false
  /** Says which subjects its owner may not read; undefined when it may read all it matches. */
  denies: ((subject: string) => boolean) | undefined

  constructor(owner: Subscriber, request: { sid: string; subject: string; queue: string }) {
    this.owner = owner
    this.sid = request.sid
    this.subject = request.subject
    this.queue = request.queue
  }
}
