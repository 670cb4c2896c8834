import { hasWildcard } from './subject.ts'

/**
 * Which subscriptions a subject reaches. A trie by token holds the subscriptions; a bounded map
 * remembers the answer for literal subjects, so that a subject in steady use costs one look-up.
 *
 * Answers are never changed after they were given: a caller may walk one while subscriptions
 * come and go underneath.
 */
export class SubjectTree<T> {
  readonly #root = new Node<T>()
  readonly #cache = new Map<string, SubjectMatch<T>>()
  #size = 0
  /** Since the start: changes, and questions that the map could not answer. */
  readonly counts: { inserts: number; removes: number; walks: number } = {
    inserts: 0,
    removes: 0,
    walks: 0,
  }

  /** Number of subscriptions. */
  get size(): number {
    return this.#size
  }

  /** True when no branch is left, which is so whenever `size` is 0. */
  get isBare(): boolean {
    return this.#root.isEmpty()
  }

  /** `queue` is the queue group, '' for none. Adding the same value twice has no effect. */
  add(subject: string, queue: string, value: T): void {
    let node = this.#root
    for (const token of subject.split('.')) node = node.childFor(token)
    const group = node.groupFor(queue)
    if (group.has(value)) return
    group.add(value)
    this.#size++
    this.counts.inserts++
    this.#forget(subject)
  }

  /** Returns whether it was there. Branches left empty are cut off. */
  remove(subject: string, queue: string, value: T): boolean {
    const tokens = subject.split('.')
    const path: Node<T>[] = [this.#root]
    for (const token of tokens) {
      const next = path[path.length - 1]?.child(token)
      if (next === undefined) return false
      path.push(next)
    }
    const node = path[path.length - 1] ?? this.#root
    const group = node.group(queue)
    if (group === undefined || !group.delete(value)) return false
    if (group.size === 0) node.dropGroup(queue)
    for (let i = path.length - 1; i > 0 && path[i]?.isEmpty() === true; i--) {
      path[i - 1]?.drop(tokens[i - 1] ?? '')
    }
    this.#size--
    this.counts.removes++
    this.#forget(subject)
    return true
  }

  /** Everything that a message published to the literal `subject` reaches. */
  match(subject: string): SubjectMatch<T> {
    const known = this.#cache.get(subject)
    if (known !== undefined) return known
    this.counts.walks++
    const found = this.#walk(subject)
    if (subject.length <= CACHED_SUBJECT_MAX_LENGTH) {
      if (this.#cache.size >= CACHE_MAX_ENTRIES) this.#cache.clear()
      this.#cache.set(subject, found)
    }
    return found
  }

  /** The answers remembered. */
  cached(): Iterable<SubjectMatch<T>> & { readonly size: number } {
    const matches = this.#cache
    return { size: matches.size, [Symbol.iterator]: () => matches.values() }
  }

  /** Every value that was added, in no particular order. */
  *values(): Generator<T> {
    const open: Node<T>[] = [this.#root]
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.plain !== undefined) yield* node.plain
      for (const group of node.queues?.values() ?? []) yield* group
      for (const child of node.children?.values() ?? []) open.push(child)
      if (node.star !== undefined) open.push(node.star)
      if (node.rest !== undefined) open.push(node.rest)
    }
  }

  #forget(subject: string): void {
    if (hasWildcard(subject)) this.#cache.clear()
    else this.#cache.delete(subject)
  }

  #walk(subject: string): SubjectMatch<T> {
    const tokens = subject.split('.')
    if (tokens.includes('')) return { plain: [], queues: [] }
    const plain: T[] = []
    const groups = new Map<string, T[]>()
    collect(this.#root, tokens, (node) => {
      for (const value of node.plain ?? []) plain.push(value)
      for (const [name, members] of node.queues ?? []) {
        const group = groups.get(name)
        if (group === undefined) groups.set(name, [...members])
        else group.push(...members)
      }
    })
    return { plain, queues: [...groups.values()] }
  }
}

/** Everyone in `plain` gets the message; of each list in `queues`, one member does. */
export interface SubjectMatch<T> {
  readonly plain: readonly T[]
  readonly queues: readonly (readonly T[])[]
}

/** With 256-byte subjects the cache holds at most 1 MiB of text, whatever clients publish to. */
const CACHE_MAX_ENTRIES = 4096
const CACHED_SUBJECT_MAX_LENGTH = 256

/** Most nodes are leaves with one subscription: collections are made when they are needed. */
class Node<T> {
  plain: Set<T> | undefined
  queues: Map<string, Set<T>> | undefined
  children: Map<string, Node<T>> | undefined
  star: Node<T> | undefined
  rest: Node<T> | undefined

  child(token: string): Node<T> | undefined {
    if (token === '*') return this.star
    return token === '>' ? this.rest : this.children?.get(token)
  }

  childFor(token: string): Node<T> {
    if (token === '*') return (this.star ??= new Node())
    if (token === '>') return (this.rest ??= new Node())
    const children = (this.children ??= new Map<string, Node<T>>())
    const known = children.get(token)
    if (known !== undefined) return known
    const added = new Node<T>()
    children.set(token, added)
    return added
  }

  /** `queue` '' is those without a group. */
  group(queue: string): Set<T> | undefined {
    return queue === '' ? this.plain : this.queues?.get(queue)
  }

  groupFor(queue: string): Set<T> {
    if (queue === '') return (this.plain ??= new Set())
    const queues = (this.queues ??= new Map<string, Set<T>>())
    const known = queues.get(queue)
    if (known !== undefined) return known
    const added = new Set<T>()
    queues.set(queue, added)
    return added
  }

  dropGroup(queue: string): void {
    if (queue === '') this.plain = undefined
    else if (this.queues?.delete(queue) === true && this.queues.size === 0) this.queues = undefined
  }

  drop(token: string): void {
    if (token === '*') this.star = undefined
    else if (token === '>') this.rest = undefined
    else if (this.children?.delete(token) === true && this.children.size === 0) {
      this.children = undefined
    }
  }

  isEmpty(): boolean {
    return (
      this.plain === undefined &&
      this.queues === undefined &&
      this.children === undefined &&
      this.star === undefined &&
      this.rest === undefined
    )
  }
}

/**
 * Visits every node whose subject matches `tokens`. Each level branches at most in two (the token
 * itself and `*`), and only where such subscriptions exist; the stack replaces recursion because a
 * 4 KiB subject has up to 2,048 tokens.
 */
function collect<T>(
  root: Node<T>,
  tokens: readonly string[],
  visit: (node: Node<T>) => void,
): void {
  let level: Node<T>[] = [root]
  for (const token of tokens) {
    const next: Node<T>[] = []
    for (const node of level) {
      if (node.rest !== undefined) visit(node.rest)
      if (node.star !== undefined) next.push(node.star)
      const literal = node.children?.get(token)
      if (literal !== undefined) next.push(literal)
    }
    if (next.length === 0) return
    level = next
  }
  for (const node of level) visit(node)
}
