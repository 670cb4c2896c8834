import type { MembershipChange, RaftParameters } from './index.ts'
import type { Mark } from './safety.suite.ts'
import { Violation } from './safety.suite.ts'
import { Seeded } from './seeded.suite.ts'
import { CALM, SimulatedNetwork } from './simulated-network.suite.ts'
import type { Shape } from './simulated-network.suite.ts'
import type { SimulatedServer } from './simulated-server.suite.ts'

const FAULTY_MS = 12_000
/** Long enough for the longest pause after failures, and some elections on top. */
const RECOVERY_MAX_MS = 40_000
/** Without pre-votes a server that cannot win may spoil rounds of one that can, by bad luck. */
const RECOVERY_WITHOUT_PRE_VOTE_MAX_MS = 200_000

export interface RunResult {
  readonly events: number
  readonly virtualMs: number
  readonly committed: number
  readonly marks: ReadonlyMap<Mark, number>
  readonly digest: number
}

/** Everything about a run follows from its seed. Throws a Violation that names the broken rule. */
export function randomRun(seed: number, traced = false): RunResult {
  const shape = shapeOf(seed)
  const network = new SimulatedNetwork(shape, traced)
  const run = new RandomRun(network, new Seeded(seed ^ 0x5bd1e995))
  try {
    run.withFaults()
    run.recover()
    run.recoverQuietly()
    network.safety.finish()
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    const text = [...(network.lines ?? []), said].join('\n')
    throw new Violation(`seed ${seed} at ${network.events.now.toFixed(1)} ms: ${text}`, {
      cause: error,
    })
  }
  const { safety, events } = network
  return {
    events: events.ran,
    virtualMs: events.now,
    marks: safety.marks,
    committed: network.committedTickets,
    digest: safety.digestAt(safety.committedIndex),
  }
}

/** Small bounds, so that a run of seconds meets compaction, back-off and snapshots. */
function shapeOf(seed: number): Shape {
  const random = new Seeded(seed)
  const voters = random.pick([1, 3, 3, 3, 3, 5, 5])
  const parameters: Partial<RaftParameters> = {
    appendEntriesMax: random.pick([1, 2, 4, 64]),
    appendMaxBytes: random.pick([200, 1000, 1_000_000]),
    pipelineMax: random.pick([1, 2, 2, 3]),
    trailingEntries: random.pick([0, 3, 20, 10_240]),
    snapshotIntervalMs: random.pick([200, 1000, 120_000]),
    snapshotThreshold: random.pick([1, 10, 50]),
    uncommittedMaxBytes: random.pick([1000, 1_000_000]),
    spreadCommitAtOnce: random.chance(0.5),
    preVote: random.chance(0.8),
  }
  return { seed, voters, nonVoters: random.pick([0, 0, 1]), spares: random.below(3), parameters }
}

class RandomRun {
  readonly #network: SimulatedNetwork
  readonly #random: Seeded
  readonly #restless: number
  readonly #changing: boolean
  readonly #recoveryMaxMs: number
  #quiet = false

  constructor(network: SimulatedNetwork, random: Seeded) {
    this.#network = network
    const { preVote = true } = network.parameters
    this.#recoveryMaxMs = preVote ? RECOVERY_MAX_MS : RECOVERY_WITHOUT_PRE_VOTE_MAX_MS
    this.#random = random
    this.#restless = random.pick([30, 80, 250])
    this.#changing = random.chance(0.6)
  }

  withFaults(): void {
    const { events } = this.#network
    const random = this.#random
    this.#network.faults = {
      lost: random.pick([0, 0, 0.02, 0.2]),
      duplicated: random.pick([0, 0.05, 0.3]),
      late: random.pick([0, 0, 0.02, 0.1]),
      latencyMaxMs: random.pick([2, 10, 80]),
      diskDelayMaxMs: random.pick([0, 5, 50, 400]),
      failures: random.pick([0, 0.3]),
    }
    const act = (): void => {
      if (events.now >= FAULTY_MS) return
      this.#act()
      events.after(random.between(0, this.#restless), act)
    }
    events.after(0, act)
    while (events.now < FAULTY_MS && events.step());
  }

  #act(): void {
    const random = this.#random
    const network = this.#network
    const server = random.pick(network.servers)
    const drawn = random.below(100)
    if (drawn < 58) this.#ask()
    else if (drawn < 63) this.#crashOrRestart(server)
    else if (drawn < 66) server.pausedUntil = network.events.now + random.between(0, 3000)
    else if (drawn < 72) this.#cutLinks()
    else if (drawn < 80) network.cut.clear()
    else if (drawn < 84) server.input({ kind: 'request-snapshot' })
    else if (drawn < 88) this.#transfer()
    else if (this.#changing) this.#changeMembership()
  }

  /** Mostly the leader, now and then anybody, who has to refuse or to be right. */
  #target(): SimulatedServer {
    const { leader, servers } = this.#network
    return leader !== undefined && this.#random.chance(0.9) ? leader : this.#random.pick(servers)
  }

  #ask(): void {
    const random = this.#random
    const target = this.#target()
    if (!target.isUp) return
    const drawn = random.below(10)
    if (drawn < 7) this.#network.propose(target, 1 + random.below(random.pick([1, 5, 30])))
    else if (drawn < 8) target.input({ kind: 'barrier', ticket: this.#network.ticket('other') })
    else target.input({ kind: 'read', ticket: this.#network.ticket('read') })
  }

  #crashOrRestart(server: SimulatedServer): void {
    if (!server.isUp) server.start()
    else server.crash()
    const down = this.#network.servers.filter(({ isUp }) => !isUp)
    const [first] = down
    if (down.length > this.#network.servers.length / 2) first?.start()
  }

  /** Two halves apart, one server apart in one direction, or any links. */
  #cutLinks(): void {
    const { servers, cut } = this.#network
    const random = this.#random
    const style = random.below(3)
    const side = new Set(servers.filter(() => random.chance(0.4)).map(({ id }) => id))
    const lone = random.pick(servers).id
    for (const { id: from } of servers) {
      for (const { id: to } of servers) {
        if (from === to) continue
        if (style === 0 && side.has(from) !== side.has(to)) cut.add(`${from}>${to}`)
        if (style === 1 && from === lone) cut.add(`${from}>${to}`)
        if (style === 2 && random.chance(0.2)) cut.add(`${from}>${to}`)
      }
    }
  }

  #transfer(): void {
    const target = this.#target()
    if (!target.isUp) return
    const ticket = this.#network.ticket('other')
    const to = this.#random.pick(this.#network.servers).id
    const named = this.#random.chance(0.5) ? { to } : {}
    target.input({ kind: 'transfer-leadership', ticket, ...named })
  }

  #changeMembership(): void {
    const target = this.#target()
    if (!target.isUp) return
    const random = this.#random
    const { id } = random.chance(0.2) ? target : random.pick(this.#network.servers)
    const kind = random.pick(['add-voter', 'add-non-voter', 'remove'] as const)
    const change: MembershipChange = kind === 'remove' ? { kind, id } : { kind, id, address: id }
    const ticket = this.#network.ticket('other')
    target.input({ kind: 'change-membership', ticket, change })
  }

  /** All faults end; from then on the cluster owes a leader and that everybody catches up. */
  recover(): void {
    const network = this.#network
    const { events } = network
    network.faults = { ...CALM }
    network.cut.clear()
    for (const server of network.servers) {
      server.pausedUntil = 0
      if (!server.isUp) server.start()
    }
    const limit = events.now + this.#recoveryMaxMs
    const before = network.committedTickets
    const ask = (): void => {
      if (this.#quiet) return
      if (network.leader !== undefined) network.propose(network.leader, 1)
      events.after(500, ask)
    }
    ask()
    while (!(network.committedTickets > before + 2 && this.#settled())) {
      if (events.now > limit) throw new Violation(`no progress after healing: ${this.describe()}`)
      events.step()
    }
  }

  /**
   * With nothing more to propose, a member restarts so quickly that no request is lost: it learns
   * what is committed all the same.
   */
  recoverQuietly(): void {
    const { events, servers } = this.#network
    const member = servers.find((server) => {
      return server.raft?.status().role.kind === 'follower' && server.machine.index > 0
    })
    this.#quiet = true
    member?.crash()
    member?.start()
    const limit = events.now + this.#recoveryMaxMs
    while (!this.#settled()) {
      if (events.now > limit) throw new Violation(`quiet restart: ${this.describe()}`)
      if (!events.step()) throw new Violation('nothing is scheduled any more')
    }
  }

  /** Every member of the leader's configuration has applied what the leader has. */
  #settled(): boolean {
    const { leader, servers } = this.#network
    const status = leader?.raft?.status()
    if (leader === undefined || status === undefined) return false
    if (status.commitIndex < status.lastIndex) return false
    return status.configuration.servers.every(({ id }) => {
      const server = servers.find((other) => other.id === id)
      return server?.machine.index === status.commitIndex
    })
  }

  describe(): string {
    return this.#network.servers
      .map(({ id, raft, machine }) => {
        const status = raft?.status()
        const { kind, term } = status?.role ?? { kind: 'down', term: 0 }
        const members = status?.configuration.servers.map((member) => member.id).join('')
        return `${id}: ${kind} of ${term}, applied ${machine.index}, last ${status?.lastIndex}, members ${members}`
      })
      .join('; ')
  }
}
