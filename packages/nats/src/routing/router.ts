import type { Publication } from './publication.ts'
import { SubjectTree } from './subject-tree.ts'
import type { Subscriber, Subscription } from './subscription.ts'

/** Brings each publication to its subscribers, in the order of the calls. */
export class Router {
  readonly tree: SubjectTree<Subscription> = new SubjectTree<Subscription>()
  #congested: Set<Subscriber> | undefined
  /** Messages and bytes (headers and payloads) that came in and went out. */
  readonly counts: RouterCounts = { inMessages: 0, inBytes: 0, outMessages: 0, outBytes: 0 }

  add(subscription: Subscription): void {
    this.tree.add(subscription.subject, subscription.queue, subscription)
  }

  remove(subscription: Subscription): void {
    subscription.closed = true
    this.tree.remove(subscription.subject, subscription.queue, subscription)
  }

  /** Returns whether anybody got it. */
  route(publication: Publication, from: Subscriber): boolean {
    this.counts.inMessages++
    this.counts.inBytes += publication.end - publication.start
    const match = this.tree.match(publication.subject)
    let delivered = false
    for (const subscription of match.plain) {
      if (this.#deliver(subscription, publication, from)) delivered = true
    }
    for (const group of match.queues) {
      if (this.#deliverToOne(group, publication, from)) delivered = true
    }
    return delivered
  }

  /** Whether a message on `subject` would reach anybody when `from` publishes it. */
  hasInterest(subject: string, from: Subscriber): boolean {
    const { plain, queues } = this.tree.match(subject)
    if (from.echo) return plain.length > 0 || queues.length > 0
    for (const subscription of plain) if (subscription.owner !== from) return true
    for (const group of queues) {
      for (const subscription of group) if (subscription.owner !== from) return true
    }
    return false
  }

  /** The subscribers found congested since the last call: their publishers should wait. */
  takeCongested(): ReadonlySet<Subscriber> | undefined {
    const taken = this.#congested
    this.#congested = undefined
    return taken
  }

  /** A random member, or the next one that can take it. */
  #deliverToOne(
    group: readonly Subscription[],
    publication: Publication,
    from: Subscriber,
  ): boolean {
    const first = group.length === 1 ? 0 : Math.floor(Math.random() * group.length)
    for (let i = 0; i < group.length; i++) {
      const member = group[(first + i) % group.length]
      if (member !== undefined && this.#deliver(member, publication, from)) return true
    }
    return false
  }

  #deliver(subscription: Subscription, publication: Publication, from: Subscriber): boolean {
    const owner = subscription.owner
    if (subscription.closed || (owner === from && !from.echo)) return false
    if (subscription.denies?.(publication.subject) === true) return false
    subscription.delivered++
    this.counts.outMessages++
    this.counts.outBytes += publication.end - publication.start
    if (owner.deliver(subscription, publication)) publication.viewed = true
    if (subscription.max > 0 && subscription.delivered >= subscription.max) {
      this.remove(subscription)
      owner.expired(subscription)
    }
    if (owner.congested) (this.#congested ??= new Set()).add(owner)
    return true
  }
}

export interface RouterCounts {
  inMessages: number
  inBytes: number
  outMessages: number
  outBytes: number
}
