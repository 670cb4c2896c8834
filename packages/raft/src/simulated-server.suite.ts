import { EMPTY_STATE, Raft } from './index.ts'
import type {
  Answer,
  Configuration,
  Entry,
  InputEvent,
  Outgoing,
  Output,
  Persist,
  RaftParameters,
  Request,
  RequestId,
  Response,
  ServerId,
  StoredState,
  Term,
} from './index.ts'
import type { EventQueue } from './event-queue.suite.ts'
import type { Safety } from './safety.suite.ts'
import type { Seeded } from './seeded.suite.ts'
import { LogImage, SimulatedDisk } from './simulated-disk.suite.ts'
import type { StoredSnapshot } from './simulated-disk.suite.ts'

/** What a server sees of the network it is in. */
export interface Surroundings {
  readonly events: EventQueue
  readonly random: Seeded
  readonly safety: Safety
  readonly parameters: Partial<RaftParameters>
  readonly faults: { diskDelayMaxMs: number; failures: number }
  sendRequest(from: SimulatedServer, outgoing: Outgoing & { kind: 'request' }): void
  sendAnswer(from: SimulatedServer, to: Unanswered, answer: Response | string): void
  answered(answer: Answer): void
  /** A leader says that `entry` is committed, under one of these configurations. */
  committed(claim: CommitClaim, configurations: readonly Configuration[]): void
  trace(line: () => string): void
}

export interface CommitClaim {
  readonly id: ServerId
  readonly term: Term
  readonly entry: Entry
}

/** A request this server owes an answer, and whom. */
export interface Unanswered {
  readonly asker: SimulatedServer
  readonly incarnation: number
  readonly id: RequestId
  readonly request: Request
  readonly blob: StoredSnapshot | undefined
}

/** One core with its driver: a disk that takes its time, a state machine that is a digest. */
export class SimulatedServer {
  readonly id: ServerId
  readonly disk: SimulatedDisk
  readonly awaiting = new Map<RequestId, ServerId>()
  incarnation = 0
  machine = { index: 0, digest: 1 }
  pausedUntil = 0
  raft: Raft | undefined
  image = new LogImage()
  readonly #world: Surroundings
  readonly #unanswered = new Map<RequestId, Unanswered>()
  #nextId = 1
  #unwritten: Persist[] = []
  #flushing = 0
  #tickAt = Infinity
  #unfinishedSnapshot: StoredSnapshot | undefined

  constructor(world: Surroundings, id: ServerId, stored: StoredState = EMPTY_STATE) {
    this.#world = world
    this.id = id
    this.disk = new SimulatedDisk(world.random, stored)
  }

  get isUp(): boolean {
    return this.raft !== undefined
  }

  start(): void {
    const { random, events, safety, parameters } = this.#world
    const stored = this.disk.load()
    this.incarnation += 1
    const { newestSnapshot } = this.disk
    const index = newestSnapshot?.position.index ?? 0
    this.machine = { index, digest: safety.digestAt(index) }
    this.image = new LogImage(this.disk.log.base, stored.entries)
    const options = { self: this.id, random: () => random.next(), parameters }
    this.raft = new Raft(options, stored, events.now)
    this.input({ kind: 'tick' })
  }

  /** The power goes: what was told durable stays, of the rest some prefix does. */
  crash(): void {
    const { random, safety } = this.#world
    safety.crashed(this.id)
    this.raft = undefined
    this.incarnation += 1
    this.disk.cutOff(this.#unwritten)
    if (this.#unfinishedSnapshot !== undefined && random.chance(0.5)) {
      this.disk.keepSnapshot(this.#unfinishedSnapshot)
    }
    this.#unfinishedSnapshot = undefined
    this.#unwritten = []
    this.#flushing = 0
    this.#tickAt = Infinity
    this.awaiting.clear()
    this.#unanswered.clear()
  }

  /** Runs `act` in this incarnation and not while the server is frozen. */
  later(delayMs: number, act: () => void): void {
    const { incarnation } = this
    const { events } = this.#world
    const run = (): void => {
      if (this.incarnation !== incarnation || !this.isUp) return
      if (this.pausedUntil > events.now) events.at(this.pausedUntil, run)
      else act()
    }
    events.after(delayMs, run)
  }

  /** A request arrives; duplicates arrive as requests of their own. */
  receive(unanswered: Unanswered): void {
    const id = this.#nextId
    this.#nextId += 1
    this.#unanswered.set(id, unanswered)
    this.input({ kind: 'request', from: unanswered.asker.id, id, request: unanswered.request })
  }

  input(event: InputEvent): void {
    const { raft } = this
    if (raft === undefined) return
    const { events, safety } = this.#world
    const before = raft.status()
    const { commitIndex } = before
    const output = raft.step({ ...event, now: events.now })
    const { id, incarnation, image } = this
    const { configurationIndex, configuration } = raft.status()
    const last = output.apply.at(-1)
    if (before.role.kind === 'leader' && last !== undefined) {
      const { term } = before.role
      this.#world.committed({ id, term, entry: last }, [before.configuration, configuration])
    }
    const stepped = { id, incarnation, output, image, commitIndex, configurationIndex }
    safety.beforeOutput(stepped)
    this.#world.trace(() => `${this.id} ${event.kind} ${JSON.stringify({ event, output })}`)
    if (output.persist !== undefined) {
      this.image.carryOut(output.persist)
      this.#unwritten.push(output.persist)
    }
    const leads = before.role.kind === 'leader'
    this.#carryOut(output, { term: raft.status().role.term, leads })
    safety.afterOutput(stepped)
    this.#flush()
    this.#schedule(output.deadline)
  }

  #carryOut(output: Output, role: { readonly term: Term; readonly leads: boolean }): void {
    const { safety } = this.#world
    for (const outgoing of output.send) this.#send(outgoing)
    const { id } = this
    for (const entry of output.apply) {
      if (entry.index !== this.machine.index + 1) throw new Error(`applied ${entry.index} early`)
      const digest = safety.apply({ id, digest: this.machine.digest, ...role }, entry)
      this.machine = { index: entry.index, digest }
    }
    if (output.install !== undefined) this.#install(output.install.id)
    if (output.takeSnapshot !== undefined) {
      if (output.takeSnapshot.index !== this.machine.index) throw new Error('snapshot elsewhere')
      this.#takeSnapshot({ position: output.takeSnapshot, digest: this.machine.digest })
    }
    for (const answer of output.answers) this.#world.answered(answer)
  }

  #send(outgoing: Outgoing): void {
    const { safety } = this.#world
    if (outgoing.kind === 'request') {
      this.awaiting.set(outgoing.id, outgoing.to)
      this.#world.sendRequest(this, outgoing)
      return
    }
    const owed = this.#unanswered.get(outgoing.id)
    if (owed === undefined || owed.asker.id !== outgoing.to) throw new Error('answered twice')
    this.#unanswered.delete(outgoing.id)
    if (outgoing.kind === 'response') {
      safety.answered(owed.request, outgoing.response, owed.asker.id, this.disk)
      this.#world.sendAnswer(this, owed, outgoing.response)
    } else {
      this.#world.sendAnswer(this, owed, outgoing.text)
    }
  }

  /** One write at a time; what came meanwhile goes with the next one, as one. */
  #flush(): void {
    if (this.#flushing > 0 || this.#unwritten.length === 0) return
    const { random, faults } = this.#world
    this.#flushing = this.#unwritten.length
    this.later(random.between(0, faults.diskDelayMaxMs), () => {
      const written = this.#unwritten.splice(0, this.#flushing)
      this.#flushing = 0
      for (const persist of written) this.disk.write(persist)
      const sequence = written.at(-1)?.sequence ?? 0
      this.input({ kind: 'persisted', sequence })
    })
  }

  #schedule(deadline: number): void {
    if (deadline === Infinity) return
    this.#tickAt = deadline
    this.later(Math.max(deadline - this.#world.events.now, 0), () => {
      if (this.#tickAt !== deadline) return
      this.#tickAt = Infinity
      this.input({ kind: 'tick' })
    })
  }

  #install(id: RequestId): void {
    const { random, faults } = this.#world
    const blob = this.#unanswered.get(id)?.blob
    if (blob === undefined) throw new Error('install of a snapshot that never came')
    this.#unfinishedSnapshot = blob
    this.later(random.between(0, faults.diskDelayMaxMs), () => {
      this.#unfinishedSnapshot = undefined
      if (random.chance(faults.failures)) {
        this.input({ kind: 'install-failed' })
        return
      }
      if (blob.position.index < this.machine.index) throw new Error('state machine went back')
      this.disk.keepSnapshot(blob)
      this.machine = { index: blob.position.index, digest: blob.digest }
      this.input({ kind: 'snapshot-installed' })
    })
  }

  #takeSnapshot(snapshot: StoredSnapshot): void {
    const { random, faults } = this.#world
    this.#unfinishedSnapshot = snapshot
    this.later(random.between(0, 4 * faults.diskDelayMaxMs), () => {
      if (this.#unfinishedSnapshot === snapshot) this.#unfinishedSnapshot = undefined
      if (random.chance(faults.failures)) {
        this.input({ kind: 'snapshot-failed' })
        return
      }
      this.disk.keepSnapshot(snapshot)
      this.input({ kind: 'snapshot-taken', snapshot: snapshot.position })
    })
  }
}
