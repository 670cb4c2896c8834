import { bootstrapState, describeOutput, EMPTY_STATE, Raft } from './index.ts'
import type {
  Entry,
  InputEvent,
  Member,
  MembershipChange,
  Outgoing,
  Output,
  Persist,
  RaftParameters,
  Request,
  RequestId,
  Response,
  ServerId,
  StoredState,
} from './index.ts'
import { describeConfiguration, describeEntries, describeRequest } from './describe.ts'
import { describeResponse } from './describe.ts'
import { LogImage } from './simulated-disk.suite.ts'

/** On its way from one server to another. A response goes to the incarnation that asked. */
interface Letter {
  readonly from: ServerId
  readonly to: ServerId
  readonly text: string
  readonly deliver: () => readonly string[]
  readonly fail: () => readonly string[]
}

interface Server {
  readonly id: ServerId
  /** Chance of this server: always the same number, larger for later letters. */
  readonly draw: number
  raft: Raft | undefined
  deadline: number
  unwritten: Persist[]
  stored: StoredState
  image: LogImage
  nextId: RequestId
  asked: Map<RequestId, { readonly from: Server; readonly id: RequestId; readonly raft: Raft }>
}

/**
 * Runs scripts of `testdata`: a command a line, what it makes happen below it. The network delivers
 * and the disks write only when told to, so a script can put every step in any order.
 *
 * ```
 * start a b c d? e-          voters, a non-voter, a server that waits; then parameter=value
 * tick a                     time goes on to a's deadline
 * wait 100                   time goes on, nobody is told
 * deliver a>b / drop a>b     what is on its way now; `deliver` alone: everything, once
 * fail a>b                   lost, and the sender is told so
 * sync a                     what a handed to its disk is durable
 * elect a                    tick and settle, showing only who leads after it
 * settle                     deliver and sync all, again and again, until nothing moves
 * propose a 3 / barrier a / read a / change a add-voter d / transfer a b / snapshot a
 * taken a / installed a / stop a / crash a / restart a / status / log a
 * ```
 */
export class Script {
  readonly #servers = new Map<ServerId, Server>()
  #letters: Letter[] = []
  #now = 0
  #parameters: Partial<RaftParameters> = {}
  #nextTicket = 1
  #taking = new Map<ServerId, Output['takeSnapshot']>()

  run(command: string): readonly string[] {
    const [verb = '', ...words] = command.split(/\s+/)
    const [first = ''] = words
    switch (verb) {
      case 'start':
        return this.#start(words)
      case 'wait':
        this.#now += Number(first)
        return []
      case 'tick':
        this.#now = Math.max(this.#now, this.#server(first).deadline)
        return [`(at ${Math.round(this.#now)} ms)`, ...this.#step(first, { kind: 'tick' })]
      case 'deliver':
        return this.#take(first).flatMap(({ deliver }) => deliver())
      case 'drop':
        return this.#take(first).map(({ from, to, text }) => `${from}>${to} lost: ${text}`)
      case 'fail':
        return this.#take(first).flatMap(({ fail }) => fail())
      case 'sync':
        return this.#sync(this.#server(first))
      case 'settle':
        return this.#settle()
      case 'elect':
        return this.#elect(this.#server(first))
      case 'status':
        return [...this.#servers.values()].map(describeServer)
      case 'log':
        return [describeLog(this.#server(first))]
      case 'crash':
        return this.#crash(this.#server(first))
      case 'restart':
        return this.#begin(this.#server(first))
      default:
        return this.#step(first, this.#asked(verb, words.slice(1)))
    }
  }

  #asked(verb: string, [first = '', second = '']: readonly string[]): InputEvent {
    const ticket = this.#nextTicket
    switch (verb) {
      case 'propose': {
        const count = Number(first)
        this.#nextTicket += count
        const data = new Uint8Array(Number(second === '' ? 1 : second))
        const proposals = Array.from({ length: count }, (_, at) => ({ ticket: ticket + at, data }))
        return { kind: 'propose', proposals }
      }
      case 'barrier':
      case 'read':
        this.#nextTicket += 1
        return { kind: verb, ticket }
      case 'change': {
        this.#nextTicket += 1
        return { kind: 'change-membership', ticket, change: changeOf(first, second) }
      }
      case 'transfer':
        this.#nextTicket += 1
        return { kind: 'transfer-leadership', ticket, ...(first === '' ? {} : { to: first }) }
      case 'snapshot':
        return { kind: 'request-snapshot' }
      case 'taken': {
        const [[id, snapshot] = []] = this.#taking
        if (id === undefined || snapshot === undefined) throw new Error('no snapshot is due')
        const server = this.#server(id)
        server.stored = { ...server.stored, snapshot }
        return { kind: 'snapshot-taken', snapshot }
      }
      case 'installed':
        return { kind: 'snapshot-installed' }
      case 'stop':
        return { kind: 'stop' }
      default:
        throw new Error(`no such command: ${verb}`)
    }
  }

  #start(words: readonly string[]): readonly string[] {
    const options = words.filter((word) => word.includes('=')).map((word) => word.split('='))
    this.#parameters = Object.fromEntries(
      options.map(([name = '', value]) => [
        name,
        value === 'true' || (value === 'false' ? false : Number(value)),
      ]),
    )
    const names = words.filter((word) => !word.includes('='))
    const members = names.filter((name) => !name.endsWith('-')).map(memberOf)
    const founding = bootstrapState({ servers: members })
    return names.flatMap((name, at) => {
      const id = name.slice(0, 1)
      const stored = name === id ? founding : EMPTY_STATE
      const server: Server = {
        id,
        draw: (at + 1) / 10,
        raft: undefined,
        deadline: 0,
        unwritten: [],
        stored,
        image: new LogImage(),
        nextId: 1,
        asked: new Map(),
      }
      this.#servers.set(id, server)
      return this.#begin(server)
    })
  }

  #begin(server: Server): readonly string[] {
    const { id, draw, stored } = server
    const first = stored.entries[0]?.index ?? (stored.snapshot?.index ?? 0) + 1
    server.image = new LogImage(first - 1, stored.entries)
    server.raft = new Raft(
      { self: id, random: () => draw, parameters: this.#parameters },
      stored,
      this.#now,
    )
    return this.#step(id, { kind: 'tick' })
  }

  #elect(server: Server): readonly string[] {
    for (let round = 0; round < 5; round += 1) {
      this.#now = Math.max(this.#now, server.deadline)
      this.#step(server.id, { kind: 'tick' })
      this.#settle()
      const role = server.raft?.status().role
      if (role?.kind === 'leader') return [`${server.id}: leader of ${role.term}`]
    }
    throw new Error(`${server.id} is not elected`)
  }

  #crash(server: Server): readonly string[] {
    server.raft = undefined
    server.unwritten = []
    server.asked.clear()
    return []
  }

  #server(id: ServerId): Server {
    const server = this.#servers.get(id)
    if (server === undefined) throw new Error(`no server ${id}`)
    return server
  }

  #step(id: ServerId, event: InputEvent): readonly string[] {
    const server = this.#server(id)
    if (server.raft === undefined) return [`${id} is down`]
    const output = server.raft.step({ ...event, now: this.#now })
    server.deadline = output.deadline
    if (output.persist !== undefined) server.unwritten.push(output.persist)
    if (output.takeSnapshot !== undefined) this.#taking = new Map([[id, output.takeSnapshot]])
    if (output.install !== undefined) {
      server.stored = { ...server.stored, snapshot: output.install.snapshot }
    }
    for (const outgoing of output.send) this.#post(server, outgoing)
    return describeOutput(output).map((line) => `${id}: ${line}`)
  }

  #post(from: Server, outgoing: Outgoing): void {
    const { to: toId, id } = outgoing
    const { raft } = from
    const to = this.#server(toId)
    if (raft === undefined) return
    if (outgoing.kind === 'request') {
      this.#letters.push({
        from: from.id,
        to: toId,
        text: describeRequest(outgoing.request),
        deliver: () => this.#arrive(to, { from, id, raft }, outgoing.request),
        fail: () =>
          this.#step(from.id, { kind: 'request-failed', from: toId, id, text: 'timeout' }),
      })
      return
    }
    const asker = from.asked.get(id)
    if (asker === undefined) throw new Error(`${from.id} answers ${id} twice`)
    from.asked.delete(id)
    const answer = outgoing.kind === 'response' ? outgoing.response : outgoing.text
    this.#letters.push({
      from: from.id,
      to: toId,
      text: typeof answer === 'string' ? answer : describeResponse(answer),
      deliver: () => this.#answer(asker, from.id, answer),
      fail: () => this.#answer(asker, from.id, 'timeout'),
    })
  }

  #arrive(
    to: Server,
    asker: { readonly from: Server; readonly id: RequestId; readonly raft: Raft },
    request: Request,
  ): readonly string[] {
    if (to.raft === undefined) {
      const { from, id, raft } = asker
      if (from.raft !== raft) return []
      return this.#step(from.id, { kind: 'request-failed', from: to.id, id, text: 'unreachable' })
    }
    const id = to.nextId
    to.nextId += 1
    to.asked.set(id, asker)
    return this.#step(to.id, { kind: 'request', from: asker.from.id, id, request })
  }

  #answer(
    asker: { readonly from: Server; readonly id: RequestId; readonly raft: Raft },
    from: ServerId,
    answer: Response | string,
  ): readonly string[] {
    const { id } = asker
    if (asker.from.raft !== asker.raft) return [`${asker.from.id} asked before it restarted`]
    if (typeof answer !== 'string') {
      return this.#step(asker.from.id, { kind: 'response', from, id, response: answer })
    }
    return this.#step(asker.from.id, { kind: 'request-failed', from, id, text: answer })
  }

  #take(route: string): readonly Letter[] {
    const chosen = ({ from, to }: Letter): boolean => {
      const [wantedFrom = '', wantedTo = ''] = route.split('>')
      return (wantedFrom === '' || wantedFrom === from) && (wantedTo === '' || wantedTo === to)
    }
    const taken = this.#letters.filter(chosen)
    this.#letters = this.#letters.filter((letter) => !chosen(letter))
    return taken
  }

  #sync(server: Server): readonly string[] {
    const written = server.unwritten
    const last = written.at(-1)
    if (last === undefined) return []
    server.unwritten = []
    for (const persist of written) server.image.carryOut(persist)
    const hardState = written.findLast((persist) => persist.hardState !== undefined)?.hardState
    server.stored = {
      hardState: hardState ?? server.stored.hardState,
      snapshot: server.stored.snapshot,
      entries: [...server.image.entries],
    }
    return this.#step(server.id, { kind: 'persisted', sequence: last.sequence })
  }

  #settle(): readonly string[] {
    const lines: string[] = []
    for (let round = 0; round < 50; round += 1) {
      const before = lines.length
      for (const server of this.#servers.values()) lines.push(...this.#sync(server))
      const letters = this.#take('')
      for (const { deliver } of letters) lines.push(...deliver())
      const idle = [...this.#servers.values()].every(({ unwritten }) => unwritten.length === 0)
      if (lines.length === before && letters.length === 0 && idle) return lines
    }
    throw new Error('it does not settle')
  }
}

function memberOf(name: string): Member {
  const id = name.slice(0, 1)
  return { id, address: id, suffrage: name.endsWith('?') ? 'non-voter' : 'voter' }
}

function changeOf(kind: string, id: ServerId): MembershipChange {
  if (kind === 'remove') return { kind, id }
  if (kind === 'add-voter' || kind === 'add-non-voter') return { kind, id, address: id }
  throw new Error(`no such change: ${kind}`)
}

function describeServer({ id, raft }: Server): string {
  if (raft === undefined) return `${id}: down`
  const status = raft.status()
  const { role, firstIndex, lastIndex, durableIndex, commitIndex, configuration } = status
  const log = `log ${firstIndex}-${lastIndex} durable ${durableIndex} commit ${commitIndex}`
  const peers = status.peers.map(
    (peer) => ` ${peer.id}:${peer.mode} match ${peer.matchIndex} next ${peer.nextIndex}`,
  )
  const members = describeConfiguration(configuration)
  return `${id}: ${role.kind} of ${role.term} ${members} ${log}${peers.join('')}`
}

function describeLog({ id, image }: Server): string {
  const entries: readonly Entry[] = image.entries
  return `${id}: ${image.base} | ${entries.length === 0 ? 'empty' : describeEntries(entries)}`
}
