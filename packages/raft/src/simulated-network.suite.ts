import { bootstrapState } from './index.ts'
import type {
  Answer,
  Configuration,
  Member,
  Outgoing,
  RaftParameters,
  Response,
  ServerId,
} from './index.ts'
import { EventQueue } from './event-queue.suite.ts'
import { Safety, Violation } from './safety.suite.ts'
import { Seeded } from './seeded.suite.ts'
import { SimulatedServer } from './simulated-server.suite.ts'
import type { CommitClaim, Surroundings, Unanswered } from './simulated-server.suite.ts'

const REQUEST_TIMEOUT_MS = 2000
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']

export interface Shape {
  readonly seed: number
  readonly voters: number
  readonly nonVoters: number
  /** Servers that start empty and wait to be added. */
  readonly spares: number
  readonly parameters: Partial<RaftParameters>
}

export interface Faults {
  lost: number
  duplicated: number
  /** Part of the messages that take up to a second. */
  late: number
  latencyMaxMs: number
  diskDelayMaxMs: number
  /** Part of the snapshots that cannot be written or installed. */
  failures: number
}

export const CALM: Faults = {
  lost: 0,
  duplicated: 0,
  late: 0,
  latencyMaxMs: 5,
  diskDelayMaxMs: 5,
  failures: 0,
}

interface OpenTicket {
  readonly what: 'command' | 'read' | 'other'
  readonly committedBefore: number
}

/** Servers, what lies between them, and what the clients of the cluster were told. */
export class SimulatedNetwork implements Surroundings {
  readonly events = new EventQueue()
  readonly random: Seeded
  readonly safety = new Safety()
  readonly parameters: Partial<RaftParameters>
  readonly servers: readonly SimulatedServer[]
  readonly lines: string[] | undefined
  faults: Faults = { ...CALM }
  /** Directed: `from>to`. */
  readonly cut = new Set<string>()
  committedTickets = 0
  readonly #open = new Map<number, OpenTicket>()
  #nextTicket = 1

  constructor(shape: Shape, traced = false) {
    this.random = new Seeded(shape.seed)
    this.parameters = shape.parameters
    this.lines = traced ? [] : undefined
    const founders: Member[] = []
    const ids = NAMES.slice(0, shape.voters + shape.nonVoters + shape.spares)
    for (const id of ids.slice(0, shape.voters + shape.nonVoters)) {
      const suffrage = founders.length < shape.voters ? 'voter' : 'non-voter'
      founders.push({ id, address: id, suffrage })
    }
    const founding = bootstrapState({ servers: founders })
    this.servers = ids.map((id, at) => {
      return new SimulatedServer(this, id, at < shape.voters ? founding : undefined)
    })
    for (const server of this.servers) server.start()
  }

  trace(line: () => string): void {
    this.lines?.push(`${this.events.now.toFixed(2)} ${line()}`)
  }

  get leader(): SimulatedServer | undefined {
    return this.servers
      .filter((server) => server.raft?.status().role.kind === 'leader')
      .sort((left, right) => termOf(right) - termOf(left))[0]
  }

  sendRequest(from: SimulatedServer, outgoing: Outgoing & { kind: 'request' }): void {
    const { id, request } = outgoing
    const { incarnation } = from
    from.later(REQUEST_TIMEOUT_MS, () => this.#fail(from, id, 'timeout'))
    const to = this.servers.find((server) => server.id === outgoing.to)
    const snapshot = request.kind === 'install-snapshot' ? request.snapshot : undefined
    const blob = snapshot === undefined ? undefined : from.disk.snapshotAt(snapshot.index)
    const missing = snapshot !== undefined && blob === undefined
    if (to === undefined || !to.isUp || missing) {
      from.later(1, () => this.#fail(from, id, 'unreachable'))
      return
    }
    const unanswered: Unanswered = { asker: from, incarnation, id, request, blob }
    const copies = this.random.chance(this.faults.duplicated) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      this.#carry(from.id, to, () => to.receive(unanswered))
    }
  }

  sendAnswer(from: SimulatedServer, to: Unanswered, answer: Response | string): void {
    const { asker, incarnation, id } = to
    this.#carry(from.id, asker, () => {
      if (asker.incarnation !== incarnation || !asker.awaiting.delete(id)) return
      if (typeof answer === 'string') {
        asker.input({ kind: 'request-failed', from: from.id, id, text: answer })
      } else {
        asker.input({ kind: 'response', from: from.id, id, response: answer })
      }
    })
  }

  #carry(from: ServerId, to: SimulatedServer, arrive: () => void): void {
    const { random, faults, cut } = this
    if (random.chance(faults.lost)) return
    const late = random.chance(faults.late)
    const delay = random.between(0.1, late ? 1000 : faults.latencyMaxMs)
    const { events } = this
    // A request may outlive a restart of its receiver; `later` would drop it.
    const run = (): void => {
      if (!to.isUp || cut.has(`${from}>${to.id}`)) return
      if (to.pausedUntil > events.now) events.at(to.pausedUntil, run)
      else arrive()
    }
    events.after(delay, run)
  }

  #fail(from: SimulatedServer, id: number, text: string): void {
    const to = from.awaiting.get(id)
    if (to === undefined || !from.awaiting.delete(id)) return
    from.input({ kind: 'request-failed', from: to, id, text })
  }

  /** What a client asks; the answer is checked against what was known when it asked. */
  ticket(what: OpenTicket['what']): number {
    const ticket = this.#nextTicket
    this.#nextTicket += 1
    this.#open.set(ticket, { what, committedBefore: this.safety.committedIndex })
    return ticket
  }

  propose(server: SimulatedServer, count: number): void {
    const proposals = Array.from({ length: count }, () => {
      const ticket = this.ticket('command')
      const data = new Uint8Array(8 + this.random.below(40))
      new DataView(data.buffer).setUint32(0, ticket)
      return { ticket, data }
    })
    server.input({ kind: 'propose', proposals })
  }

  /** [Raft 5.3, 5.4.2]: on the disks of a majority of voters, and of the leader's own term. */
  committed({ id, term, entry }: CommitClaim, configurations: readonly Configuration[]): void {
    if (entry.term !== term) throw new Violation(`${id} of ${term} counted ${entry.term} committed`)
    const enough = configurations.some(({ servers }) => {
      const voters = servers.filter(({ suffrage }) => suffrage === 'voter')
      const having = voters.filter((voter) => {
        return this.servers.find((server) => server.id === voter.id)?.disk.holds(entry) ?? false
      })
      return having.length * 2 > voters.length
    })
    if (!enough) throw new Violation(`${id} committed ${entry.index} without a majority`)
  }

  answered(answer: Answer): void {
    const { ticket } = answer
    const open = this.#open.get(ticket)
    if (open === undefined) throw new Violation(`ticket ${ticket} was answered twice`)
    this.#open.delete(ticket)
    if (answer.kind === 'failed') {
      if (!answer.undecided) this.safety.refused.add(ticket)
    } else if (answer.kind === 'read') {
      if (answer.index < open.committedBefore) throw new Violation(`read ${ticket} is stale`)
    } else if (answer.kind === 'committed') {
      this.committedTickets += 1
      const entry = this.safety.committed[answer.index - 1]
      if (entry === undefined) throw new Violation(`ticket ${ticket} committed too early`)
      if (open.what === 'command' && !holds(entry, ticket)) {
        throw new Violation(`ticket ${ticket} is not at ${answer.index}`)
      }
    }
  }
}

function termOf(server: SimulatedServer): number {
  return server.raft?.status().role.term ?? 0
}

function holds(entry: { kind: string; data?: Uint8Array }, ticket: number): boolean {
  const { data } = entry
  return data !== undefined && new DataView(data.buffer).getUint32(0) === ticket
}
