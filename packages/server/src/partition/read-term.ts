/** A time during which a partition may be read here. */
export type ReadTerm = {
  /** A follower may be read only by those who ask for it with `readISRReplica`. */
  readonly role: 'leader' | 'follower'
  /** Fires when the term ends: subscriptions must end too, so that their clients look anew [E2]. */
  readonly signal: AbortSignal
}

/** The term of one partition that runs now, if any. */
export class ReadTerms {
  #current: { readonly term: ReadTerm; readonly controller: AbortController } | undefined

  get current(): ReadTerm | undefined {
    return this.#current?.term
  }

  /** Makes the present term one of this role, beginning a new one if it is not; undefined ends it. */
  set(role: ReadTerm['role'] | undefined): void {
    if (this.#current?.term.role === role) return
    const before = this.#current
    this.#current = undefined
    if (role !== undefined) {
      const controller = new AbortController()
      this.#current = { term: { role, signal: controller.signal }, controller }
    }
    before?.controller.abort()
  }
}
