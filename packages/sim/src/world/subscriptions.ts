import { hasWildcard, subjectMatches } from '@liftbridge/wire'

/** One subscription as NATS knows it. */
export interface Subscribed {
  readonly subject: string
  /** Empty for none. */
  readonly queue: string
}

/** Who gets a message: everybody in `plain`, one of each list in `queues`. */
export interface Audience<S> {
  readonly plain: readonly S[]
  readonly queues: readonly (readonly S[])[]
}

/** The subscriptions of a simulated NATS. Inboxes come and go all the time, so literals are cheap. */
export class Subscriptions<S extends Subscribed> {
  readonly #literal = new Map<string, Set<S>>()
  readonly #wildcard = new Set<S>()
  /** By literal subject: the wildcards that match it. */
  readonly #matching = new Map<string, readonly S[]>()

  add(subscription: S): void {
    const { subject } = subscription
    if (hasWildcard(subject)) {
      this.#wildcard.add(subscription)
      this.#matching.clear()
      return
    }
    const sharing = this.#literal.get(subject)
    if (sharing) sharing.add(subscription)
    else this.#literal.set(subject, new Set([subscription]))
  }

  remove(subscription: S): void {
    const { subject } = subscription
    if (this.#wildcard.delete(subscription)) {
      this.#matching.clear()
      return
    }
    const sharing = this.#literal.get(subject)
    sharing?.delete(subscription)
    if (sharing?.size === 0) this.#literal.delete(subject)
  }

  match(subject: string): Audience<S> {
    const plain: S[] = []
    const queues = new Map<string, S[]>()
    const take = (subscription: S): void => {
      if (subscription.queue === '') {
        plain.push(subscription)
        return
      }
      const members = queues.get(subscription.queue)
      if (members) members.push(subscription)
      else queues.set(subscription.queue, [subscription])
    }
    for (const subscription of this.#literal.get(subject) ?? []) take(subscription)
    for (const subscription of this.#wildcardsOf(subject)) take(subscription)
    return { plain, queues: [...queues.values()] }
  }

  #wildcardsOf(subject: string): readonly S[] {
    const known = this.#matching.get(subject)
    if (known) return known
    const found = [...this.#wildcard].filter((one) => subjectMatches(one.subject, subject))
    if (this.#matching.size > 4_096) this.#matching.clear()
    this.#matching.set(subject, found)
    return found
  }
}
