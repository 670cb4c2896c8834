import { covers, hasWildcard, overlap, toByteString } from '../routing/subject.ts'

/** Which subjects a user may use. No `allow`, or an empty one, allows all; `deny` always wins. */
export interface SubjectRules {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

export interface NatsPermissions {
  readonly publish?: SubjectRules
  /** An entry may be `subject queue`: it is then about subscribing in that queue group. */
  readonly subscribe?: SubjectRules
  /**
   * Lets the user publish to the reply subjects of messages it received, so often and so long
   * each. Without `publish.allow` it may then publish to nothing else.
   */
  readonly responses?: ResponseRules
}

export interface ResponseRules {
  /** -1 is no limit. */
  readonly maxMessages: number
  /** -1 is no limit. */
  readonly expiresMs: number
}

export const DEFAULT_RESPONSES: ResponseRules = { maxMessages: 1, expiresMs: 120_000 }

/** `filtered`: the subscription stands, but `denies` says which of its messages it does not get. */
export type SubscriptionVerdict =
  | { readonly kind: 'refused' }
  | { readonly kind: 'allowed' }
  | { readonly kind: 'filtered'; readonly denies: (subject: string) => boolean }

/**
 * What one connection may do: the rules of its user and what it was asked to answer. Subjects are
 * byte strings (subject.ts).
 *
 * A subscription with wildcards must lie within one allowed subject as a whole. nats-server 2.9
 * also takes `foo.>` where only `foo.*` is allowed; here that is refused.
 */
export class Permissions {
  readonly #publish: Rules
  readonly #subscribe: Rules
  readonly #responses: ResponseRules | undefined
  readonly #mayPublish = new Map<string, boolean>()
  readonly #replies = new Map<string, { left: number; readonly untilMs: number }>()

  constructor(permissions: NatsPermissions) {
    const { publish, subscribe, responses } = permissions
    this.#publish = compile(publish, responses !== undefined)
    this.#subscribe = compile(subscribe, false)
    this.#responses = responses
  }

  /** Whether `noteReply` wants to know of the replies delivered. */
  get tracksReplies(): boolean {
    return this.#responses !== undefined
  }

  /** Costs one look-up for a subject in steady use. */
  mayPublish(subject: string): boolean {
    const known = this.#mayPublish.get(subject)
    const allowed = known ?? this.#judgePublish(subject)
    return allowed || (this.#replies.size > 0 && this.#answers(subject))
  }

  judgeSubscription(subject: string, queue: string): SubscriptionVerdict {
    const { allow, deny } = this.#subscribe
    if (allow !== undefined && !lists(allow, subject, queue)) return { kind: 'refused' }
    if (lists(deny, subject, queue)) return { kind: 'refused' }
    if (!hasWildcard(subject)) return { kind: 'allowed' }
    const inside = deny.filter((rule) => rule.queue === '' && overlap(rule.subject, subject))
    if (inside.length === 0) return { kind: 'allowed' }
    return { kind: 'filtered', denies: (one) => inside.some((rule) => covers(rule.subject, one)) }
  }

  /** A message with this reply subject was delivered: it may be answered. */
  noteReply(reply: string, nowMs: number): void {
    const rules = this.#responses
    if (rules === undefined) return
    if (this.#replies.size >= REPLIES_MAX) this.#forgetReplies(nowMs)
    this.#replies.set(reply, {
      left: rules.maxMessages < 0 ? Infinity : rules.maxMessages,
      untilMs: rules.expiresMs < 0 ? Infinity : nowMs + rules.expiresMs,
    })
  }

  #judgePublish(subject: string): boolean {
    const { allow, deny } = this.#publish
    const allowed =
      (allow === undefined || allow.some((rule) => covers(rule.subject, subject))) &&
      !deny.some((rule) => covers(rule.subject, subject))
    if (this.#mayPublish.size >= CACHED_MAX) this.#mayPublish.clear()
    if (subject.length <= CACHED_SUBJECT_MAX_LENGTH) this.#mayPublish.set(subject, allowed)
    return allowed
  }

  #answers(subject: string): boolean {
    const reply = this.#replies.get(subject)
    if (reply === undefined) return false
    reply.left--
    const inTime = performance.now() <= reply.untilMs
    if (reply.left <= 0 || !inTime) this.#replies.delete(subject)
    return inTime
  }

  /** Drops what has expired, and if that is not enough the oldest half. */
  #forgetReplies(nowMs: number): void {
    for (const [reply, { untilMs }] of this.#replies) {
      if (untilMs < nowMs) this.#replies.delete(reply)
    }
    for (const reply of this.#replies.keys()) {
      if (this.#replies.size <= REPLIES_MAX / 2) return
      this.#replies.delete(reply)
    }
  }
}

/** Bounds per connection: what it may publish to is remembered, and what it may answer. */
const CACHED_MAX = 256
const CACHED_SUBJECT_MAX_LENGTH = 256
const REPLIES_MAX = 4096

interface Rule {
  readonly subject: string
  readonly queue: string
}

interface Rules {
  /** Undefined allows all. */
  readonly allow: readonly Rule[] | undefined
  readonly deny: readonly Rule[]
}

function compile(rules: SubjectRules | undefined, nothingByDefault: boolean): Rules {
  const { allow = [], deny = [] } = rules ?? {}
  return {
    allow: allow.length > 0 ? allow.map(ruleOf) : nothingByDefault ? [] : undefined,
    deny: deny.map(ruleOf),
  }
}

function ruleOf(text: string): Rule {
  const [subject = '', queue = ''] = toByteString(text)
    .trim()
    .split(/[ \t]+/)
  return { subject, queue }
}

/** Rules about queue groups decide where there are any for the subject, else those without. */
function lists(rules: readonly Rule[], subject: string, queue: string): boolean {
  const about = rules.filter((rule) => covers(rule.subject, subject))
  const groups = about.filter((rule) => rule.queue !== '')
  if (queue !== '' && groups.length > 0) return groups.some((rule) => covers(rule.queue, queue))
  return about.some((rule) => rule.queue === '')
}
