import type { Entry, Index, Output, Persist, Request, Response, ServerId, Term } from './index.ts'
import type { LogImage, SimulatedDisk } from './simulated-disk.suite.ts'

/** What makes two entries the same. */
export function fingerprint(entry: Entry): string {
  const { kind, index, term } = entry
  if (kind === 'command') return `${term}.${index} ${entry.data.join(' ')}`
  if (kind !== 'configuration') return `${term}.${index} ${kind}`
  const servers = entry.configuration.servers.map(({ id, suffrage }) => `${id}=${suffrage}`)
  return `${term}.${index} ${servers.join(' ')}`
}

function mixed(digest: number, text: string): number {
  let mix = digest
  for (let at = 0; at < text.length; at += 1) mix = Math.imul(mix ^ text.charCodeAt(at), 0x01000193)
  return mix >>> 0
}

export class Violation extends Error {}

function must(condition: boolean, rule: string, detail: string): asserts condition {
  if (!condition) throw new Violation(`${rule}: ${detail}`)
}

export const MARKS = [
  'elected',
  'lease ran out',
  'log cut back',
  'configuration rolled back',
  'log replaced by a snapshot',
  'snapshot asked for',
  'log compacted',
  'membership changed',
  'removed leader stepped down',
  'entries of an earlier term committed',
  'leadership transferred',
  'read confirmed',
] as const

export type Mark = (typeof MARKS)[number]

interface Stepped {
  readonly id: ServerId
  readonly incarnation: number
  readonly output: Output
  /** The log as it is meant after this output, and before it. */
  readonly image: LogImage
  readonly commitIndex: Index
  /** Of the configuration that the server goes by after this output. */
  readonly configurationIndex: Index
}

/** Whose state machine, and in what term that server is. */
interface Machine {
  readonly id: ServerId
  readonly digest: number
  readonly term: Term
  readonly leads: boolean
}

/**
 * Watches every step of every server for what must never happen: M1 to M6 and M10 of the
 * guarantees, and what was promised to those who asked.
 */
export class Safety {
  readonly committed: Entry[] = []
  readonly #fingerprints: string[] = []
  readonly #digests: number[] = [1]
  /** The term in which an index was first seen to be committed. */
  readonly #committedIn: Term[] = []
  readonly #leaders = new Map<Term, string>()
  readonly #known = new Map<string, { readonly print: string; readonly previousTerm: Term }>()
  readonly #leading = new Map<ServerId, Term>()
  readonly refused = new Set<number>()
  /** How often the situations occurred without which a batch of runs proves little. */
  readonly marks = new Map<Mark, number>()

  get committedIndex(): Index {
    return this.committed.length
  }

  digestAt(index: Index): number {
    const digest = this.#digests[index]
    if (digest === undefined) throw new Violation(`nothing was committed at ${index}`)
    return digest
  }

  mark(mark: Mark): void {
    this.marks.set(mark, (this.marks.get(mark) ?? 0) + 1)
  }

  crashed(id: ServerId): void {
    this.#leading.delete(id)
  }

  /** Called before the output is carried out; `image` is the log before it. */
  beforeOutput(stepped: Stepped): void {
    const { id, output, image, commitIndex } = stepped
    const { persist } = output
    this.#markOutput(stepped)
    if (persist === undefined) return
    const leads = this.#leading.has(id) && (output.role?.kind ?? 'leader') === 'leader'
    const cut = persist.truncateFrom !== undefined || persist.resetTo !== undefined
    must(!leads || !cut, 'M2 leader append-only', `${id} cut its log as a leader`)
    if (persist.truncateFrom !== undefined) {
      must(persist.truncateFrom > commitIndex, 'committed entries stay', `${id} cut`)
    }
    const committed = output.apply.at(-1)?.index ?? commitIndex
    if (leads) this.#onlyOneChange(id, persist.append, image, committed)
  }

  #markOutput({ id, output, image }: Stepped): void {
    const { persist, role, apply } = output
    const leading = this.#leading.get(id)
    if (leading !== undefined && role?.kind === 'follower' && role.term === leading) {
      const removed = apply.some((entry) => entry.kind === 'configuration')
      this.mark(removed ? 'removed leader stepped down' : 'lease ran out')
    }
    if (leading !== undefined && apply.some(({ term }) => term < leading)) {
      this.mark('entries of an earlier term committed')
    }
    if (output.takeSnapshot !== undefined) this.mark('snapshot asked for')
    if (output.answers.some(({ kind }) => kind === 'transferred'))
      this.mark('leadership transferred')
    if (output.answers.some(({ kind }) => kind === 'read')) this.mark('read confirmed')
    if (apply.some(({ kind, index }) => kind === 'configuration' && index > 1)) {
      this.mark('membership changed')
    }
    if (persist === undefined) return
    const { truncateFrom } = persist
    if (truncateFrom !== undefined) {
      this.mark('log cut back')
      const cut = image.entries.slice(truncateFrom - image.base - 1)
      if (cut.some(({ kind }) => kind === 'configuration')) this.mark('configuration rolled back')
    }
    if (persist.resetTo !== undefined) this.mark('log replaced by a snapshot')
    if (persist.compactThrough !== undefined) this.mark('log compacted')
  }

  #onlyOneChange(id: ServerId, append: readonly Entry[], image: LogImage, commit: Index): void {
    const changes = append.filter(({ kind }) => kind === 'configuration')
    if (changes.length === 0) return
    must(changes.length === 1, 'M10 one change at a time', `${id} appended ${changes.length}`)
    const pending = image.entries.findLast(({ kind }) => kind === 'configuration')
    must((pending?.index ?? 0) <= commit, 'M10 one change at a time', `${id} did not wait`)
    const own = image.entryAt(commit)?.term ?? this.#leading.get(id)
    must(own === this.#leading.get(id), 'M10 own term first', `${id} committed ${own} only`)
  }

  /** Called when the log image and the state machine have taken the output in. */
  afterOutput(stepped: Stepped): void {
    const { id, output, image } = stepped
    if (output.persist !== undefined) this.#inEffect(stepped, output.persist)
    for (const entry of output.persist?.append ?? []) this.#logMatching(id, entry, image)
    if (output.role === undefined) return
    if (output.role.kind === 'leader') this.#elected(stepped, output.role.term)
    else this.#leading.delete(id)
  }

  /** A configuration is in effect from its append to its truncation [Raft 6]. */
  #inEffect({ id, image, configurationIndex }: Stepped, persist: Persist): void {
    const touched =
      persist.truncateFrom !== undefined ||
      persist.append.some(({ kind }) => kind === 'configuration')
    if (!touched) return
    const last = image.entries.findLast(({ kind }) => kind === 'configuration')?.index
    const right =
      last === undefined ? configurationIndex <= image.base : last === configurationIndex
    must(right, 'configuration in effect', `${id} follows ${configurationIndex}, not ${last}`)
  }

  /** M3 by induction: one entry has one content and one entry before it, in every log. */
  #logMatching(id: ServerId, entry: Entry, image: LogImage): void {
    const before = image.entryAt(entry.index - 1)
    const key = `${entry.term}.${entry.index}`
    const print = fingerprint(entry)
    const known = this.#known.get(key)
    if (known === undefined) {
      if (before === undefined && entry.index > 1) return
      this.#known.set(key, { print, previousTerm: before?.term ?? 0 })
      return
    }
    must(known.print === print, 'M3 log matching', `${id} has ${print}, not ${known.print}`)
    if (before === undefined) return
    must(known.previousTerm === before.term, 'M3 log matching', `${id} differs before ${key}`)
  }

  #elected({ id, incarnation, image }: Stepped, term: Term): void {
    const leader = `${id}#${incarnation}`
    const other = this.#leaders.get(term)
    must(other === undefined || other === leader, 'M1 election safety', `${other} and ${leader}`)
    if (other === undefined) this.mark('elected')
    this.#leaders.set(term, leader)
    this.#leading.set(id, term)
    for (let index = image.base + 1; index <= this.committedIndex; index += 1) {
      // A server that was frozen may win an old term late; later terms owe it nothing.
      if ((this.#committedIn[index] ?? 0) >= term) continue
      const entry = image.entryAt(index)
      const print = entry === undefined ? 'nothing' : fingerprint(entry)
      const expected = this.#fingerprints[index]
      must(print === expected, 'M4 leader completeness', `${leader} ${print}, not ${expected}`)
    }
  }

  /** M5: the digest after applying `entry` on top of `digest`. */
  apply({ id, digest, term, leads }: Machine, entry: Entry): number {
    const print = fingerprint(entry)
    const expected = this.#fingerprints[entry.index]
    if (expected === undefined) {
      must(leads, 'M5 state machine safety', `${id} applied ${print}, which no leader committed`)
      must(entry.index === this.committedIndex + 1, 'M5 state machine safety', `gap at ${print}`)
      this.committed.push(entry)
      this.#fingerprints[entry.index] = print
      this.#committedIn[entry.index] = term
      this.#digests[entry.index] = mixed(this.digestAt(entry.index - 1), print)
    } else {
      must(print === expected, 'M5 state machine safety', `${id} applied ${print}, not ${expected}`)
    }
    const after = mixed(digest, print)
    must(
      after === this.digestAt(entry.index),
      'M5 state machine safety',
      `${id} digest at ${print}`,
    )
    return after
  }

  /** M6: what a peer is told is on the disk of the one who tells. */
  answered(request: Request, response: Response, from: ServerId, disk: SimulatedDisk): void {
    if (response.kind === 'timeout-now' || response.kind === 'request-pre-vote') return
    const { term } = disk.hardState
    must(term >= response.term, 'M6 durable first', `term ${response.term} told, ${term} stored`)
    if (response.kind === 'request-vote' && response.granted) {
      const voted = term > response.term || disk.hardState.votedFor === from
      must(voted, 'M6 durable first', `vote for ${from} told and not stored`)
    }
    // In a later term the entries may be gone again; the old leader can commit nothing by then.
    if (term > response.term) return
    if (request.kind === 'append-entries' && response.kind === 'append-entries') {
      if (response.success) this.#storedBefore(request.previousIndex, request.entries, disk)
    }
  }

  #storedBefore(previousIndex: Index, entries: readonly Entry[], disk: SimulatedDisk): void {
    const snapshot = disk.newestSnapshot?.position.index ?? 0
    const end = previousIndex + entries.length
    const covered = Math.max(disk.log.lastIndex, snapshot)
    must(covered >= end, 'M6 durable first', `success up to ${end}, stored to ${covered}`)
    for (const entry of entries) {
      if (entry.index <= snapshot || entry.index <= disk.log.base) continue
      const stored = disk.log.entryAt(entry.index)
      const same = stored !== undefined && stored.term === entry.term
      must(same, 'M6 durable first', `success for ${fingerprint(entry)}, which is not stored`)
    }
  }

  /** What failed without doubt is not in the log for good. */
  finish(): void {
    for (const entry of this.committed) {
      if (entry.kind !== 'command') continue
      const ticket = ticketOf(entry.data)
      must(!this.refused.has(ticket), 'refused stays out', `ticket ${ticket} was committed`)
    }
  }
}

export function ticketOf(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(0)
}
