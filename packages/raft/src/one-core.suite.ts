import { bootstrapState, Raft } from './index.ts'
import type {
  CommandEntry,
  Configuration,
  Entry,
  InputEvent,
  Outgoing,
  Output,
  RaftParameters,
  Request,
  RequestId,
  Response,
  ServerId,
  SnapshotPosition,
  StoredState,
} from './index.ts'

export function configurationOf(voters: string, nonVoters = ''): Configuration {
  const members = (ids: string, suffrage: 'voter' | 'non-voter') =>
    Array.from(ids, (id) => ({ id, address: id, suffrage }))
  return { servers: [...members(voters, 'voter'), ...members(nonVoters, 'non-voter')] }
}

export function command(index: number, term: number, text = ''): CommandEntry {
  return { kind: 'command', index, term, data: Uint8Array.from(text, (char) => char.charCodeAt(0)) }
}

/** A log of commands of these terms, behind the configuration of a, b and c at 1 of term 1. */
export function stored(terms: readonly number[], hardTerm?: number, voters = 'abc'): StoredState {
  const founding = bootstrapState(configurationOf(voters))
  const entries: Entry[] = [
    ...founding.entries,
    ...terms.map((term, at) => command(at + 2, term, `${at}`)),
  ]
  const term = hardTerm ?? entries.at(-1)?.term ?? 1
  return { hardState: { term, votedFor: undefined }, snapshot: undefined, entries }
}

/** One core whose peers are the test itself. Server a, and half of every chance. */
export class OneCore {
  readonly raft: Raft
  now = 0
  output: Output
  #unsynced: number | undefined
  #nextId = 1

  constructor(
    state: StoredState = stored([]),
    parameters: Partial<RaftParameters> = {},
    chance = 0.5,
  ) {
    this.raft = new Raft({ self: 'a', random: () => chance, parameters }, state, 0)
    this.output = this.step({ kind: 'tick' })
  }

  get term(): number {
    return this.raft.status().role.term
  }

  get role(): string {
    return this.raft.status().role.kind
  }

  step(event: InputEvent): Output {
    this.output = this.raft.step({ ...event, now: this.now })
    if (this.output.persist !== undefined) this.#unsynced = this.output.persist.sequence
    return this.output
  }

  /** Everything handed out is durable. */
  sync(): Output {
    const sequence = this.#unsynced
    if (sequence === undefined) throw new Error('nothing to sync')
    this.#unsynced = undefined
    return this.step({ kind: 'persisted', sequence })
  }

  syncIfNeeded(): void {
    while (this.#unsynced !== undefined) this.sync()
  }

  after(ms: number): Output {
    this.now += ms
    return this.step({ kind: 'tick' })
  }

  atDeadline(): Output {
    this.now = this.output.deadline
    return this.step({ kind: 'tick' })
  }

  /** What the core says to a request: at once, or when all is durable. */
  ask(from: ServerId, request: Request): Response | string | undefined {
    const id = this.#nextId
    this.#nextId += 1
    const outputs = [this.step({ kind: 'request', from, id, request })]
    if (this.#unsynced !== undefined) outputs.push(this.sync())
    const answer = outputs
      .flatMap(({ send }) => send)
      .find((outgoing) => outgoing.kind !== 'request' && outgoing.id === id)
    if (answer === undefined || answer.kind === 'request') return undefined
    return answer.kind === 'response' ? answer.response : answer.text
  }

  /** What the core asked `of` a peer, or of all, in its last output. */
  asked<Kind extends Request['kind']>(kind: Kind, of?: ServerId): readonly AskedOf<Kind>[] {
    return this.output.send.filter((outgoing): outgoing is AskedOf<Kind> => {
      if (outgoing.kind !== 'request' || outgoing.request.kind !== kind) return false
      return of === undefined || outgoing.to === of
    })
  }

  answer(from: ServerId, id: RequestId, response: Response): Output {
    return this.step({ kind: 'response', from, id, response })
  }

  /** Everything in `asked` that was asked of `from` succeeds; returns what that made it ask. */
  accept(from: ServerId, asked: readonly Outgoing[]): readonly Outgoing[] {
    const more: Outgoing[] = []
    for (const outgoing of asked) {
      if (outgoing.kind !== 'request' || outgoing.to !== from) continue
      const { id, request } = outgoing
      const { term } = this
      if (request.kind === 'append-entries' || request.kind === 'heartbeat') {
        const success = { success: true, lastIndex: 0, noRetryBackoff: false }
        more.push(...this.answer(from, id, { kind: 'append-entries', term, ...success }).send)
      } else if (request.kind === 'request-vote' || request.kind === 'request-pre-vote') {
        const granted = { kind: request.kind, term: request.term, granted: true }
        more.push(...this.answer(from, id, granted).send)
      }
    }
    return more
  }

  /** Lets time pass, from deadline to deadline, until it asks this of a peer; others are silent. */
  untilAsked<Kind extends Request['kind']>(kind: Kind, of: ServerId): AskedOf<Kind> {
    for (let tries = 0; tries < 1000; tries += 1) {
      const [asked] = this.asked(kind, of)
      if (asked !== undefined) return asked
      this.atDeadline()
    }
    throw new Error(`${of} is asked for no ${kind}`)
  }

  fail({ to, id }: Outgoing, text = 'unreachable'): Output {
    return this.step({ kind: 'request-failed', from: to, id, text })
  }

  /** Wins an election with the votes of `by`; returns what it then asks of its peers. */
  elect(by = 'b'): readonly Outgoing[] {
    const { send: asked } = this.atDeadline()
    for (const from of by) this.accept(from, asked)
    const { send: votes } = this.sync()
    const first = by === '' ? this.output.send : Array.from(by, (from) => this.accept(from, votes))
    if (this.role !== 'leader') throw new Error(`not elected by ${by}`)
    return first.flat()
  }

  /** A leader whose Noop is committed, which `by` know and have. */
  lead(by = 'b'): void {
    let asked = this.elect(by)
    this.sync()
    while (asked.length > 0) asked = Array.from(by, (from) => this.accept(from, asked)).flat()
  }
}

export type AskedOf<Kind extends Request['kind']> = Outgoing & {
  readonly kind: 'request'
  readonly request: Extract<Request, { kind: Kind }>
}

export function append(
  term: number,
  [previousIndex, previousTerm]: readonly [number, number],
  entries: readonly Entry[] = [],
  commitIndex = 0,
): Request {
  const leader = 'b'
  return {
    kind: 'append-entries',
    term,
    leader,
    previousIndex,
    previousTerm,
    entries,
    commitIndex,
  }
}

export function vote(term: number, [lastIndex, lastTerm]: readonly [number, number]): Request {
  return { kind: 'request-vote', term, lastIndex, lastTerm, leadershipTransfer: false }
}

export function preVote(term: number, [lastIndex, lastTerm]: readonly [number, number]): Request {
  return { kind: 'request-pre-vote', term, lastIndex, lastTerm }
}

export function heartbeat(term: number, leader = 'b'): Request {
  return { kind: 'heartbeat', term, leader }
}

export function positionAt(index: number, term: number): SnapshotPosition {
  return { index, term, configuration: configurationOf('abc', 'd'), configurationIndex: 1 }
}

export function install(term: number, snapshot: SnapshotPosition): Request {
  return { kind: 'install-snapshot', term, leader: 'b', snapshot }
}
