import {
  FAILURE_TEXTS,
  Raft,
  type Answer,
  type InputEvent,
  type Outgoing,
  type Output,
  type Persist,
  type RaftParameters,
  type RaftStatus,
  type Request,
  type RequestId,
  type Role,
  type SnapshotInstall,
  type SnapshotPosition,
  type StoredState,
} from '@liftbridge/raft'
import type { Clock, Random, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { StateMachine } from '../metadata/consensus.ts'
import type { RaftAnswer, RaftNetwork } from './raft-network.ts'
import type { RaftStore } from './store/raft-store.ts'
import type { StagedSnapshot } from './store/snapshot-store.ts'

export interface RaftDriverOptions<Result> {
  readonly self: string
  readonly store: RaftStore
  readonly stored: StoredState
  readonly network: RaftNetwork
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly machine: StateMachine<Result>
  readonly parameters: Partial<RaftParameters>
  readonly listener: RaftListener<Result>
  /** False: this server neither votes nor asks for votes. */
  readonly mayVote: () => boolean
}

/** Who hears what the core decides. No method may throw. */
interface RaftListener<Result> {
  /** `result` is what the machine returned, for an entry that was proposed here. */
  answered(answer: Answer, result: Result | undefined): void
  role(role: Role): void
  /** The leader's first entry of this term has been applied: it knows all that is committed. */
  caughtUp(term: number): void
  /** Everything that a step owed has been handed on. */
  stepped(): void
  failed(error: Error): void
}

interface PeerRequest {
  readonly answer: (answer: RaftAnswer) => void
  readonly staged: StagedSnapshot | undefined
}

/** Requests of peers that may wait for the disk; each holds at most 64 entries in memory. */
const PEER_REQUESTS_MAX = 256
const STOPPED_TEXT = FAILURE_TEXTS.stopped

/**
 * Runs one Raft core: hands it what happens, one thing after the other, and carries out what it
 * owes, in the order owed. Writing to the disk goes on meanwhile; the core is told when it is done
 * and holds back itself what depends on it [M6]. When the store fails or the core breaks, the
 * driver is fenced: it answers nobody and tells nobody anything any more [D7].
 */
export class RaftDriver<Result> {
  readonly #options: RaftDriverOptions<Result>
  readonly #core: Raft
  readonly #events: InputEvent[] = []
  #stepping = false
  #stopped = false
  #timer: Timer | undefined
  #timerAtMs = Infinity
  /** When the core wants its next tick. */
  #deadlineMs = Infinity
  readonly #peerRequests = new Map<RequestId, PeerRequest>()
  #nextRequestId: RequestId = 1
  #role: Role | undefined
  #status: RaftStatus | undefined
  #appliedIndex: number
  /** Time as the core knows it: it never goes back, whatever a clock does. */
  #nowMs: number
  #failure: Error | undefined

  constructor(options: RaftDriverOptions<Result>) {
    const { self, random, stored, parameters, clock } = options
    this.#options = options
    this.#appliedIndex = stored.snapshot?.index ?? 0
    const raft = { self, random: () => random.next(), parameters }
    this.#nowMs = clock.monotonicMs()
    this.#core = new Raft(raft, stored, this.#nowMs)
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** A picture of the core, made anew after each step that is asked for it. */
  get status(): RaftStatus {
    this.#status ??= this.#core.status()
    return this.#status
  }

  start(): void {
    this.#options.network.serve((from, request, state) => this.#serve(from, request, state))
    this.post({ kind: 'tick' })
    const { servers } = this.status.configuration
    const voters = servers.filter(({ suffrage }) => suffrage === 'voter')
    if (voters.length !== 1 || voters[0]?.id !== this.#options.self) return
    // Nobody else can lead: no use in waiting until the time for an election has come.
    this.#ask(this.#options.self, { kind: 'timeout-now' }, undefined).catch(() => {})
  }

  /** Hands the core something that happened. May be called from within what a step causes. */
  post(event: InputEvent): void {
    if (this.#stopped) return
    this.#events.push(event)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#step(next)
      }
    } catch (error) {
      this.fence(error)
    } finally {
      this.#stepping = false
    }
    if (!this.#stopped) this.#options.listener.stepped()
  }

  /** Whether a server, member or not, answers the leader that this one is. Never rejects. */
  async reaches(server: string): Promise<boolean> {
    const { network, self } = this.#options
    const { role } = this.status
    if (role.kind !== 'leader') return false
    const heartbeat = { kind: 'heartbeat', term: role.term, leader: self } as const
    return (await network.call(server, heartbeat, undefined)).kind === 'response'
  }

  /** Nothing is answered or sent from here on. */
  fence(cause: unknown): void {
    if (this.#failure !== undefined || this.#stopped) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#failure = new Error(`metadata consensus failed: ${reason}`, { cause })
    this.#end('failed')
    this.#options.logger.error('metadata: Raft is fenced until the next start', { error: cause })
    this.#options.listener.failed(this.#failure)
  }

  /** Answers everybody who waits and ends. */
  stop(): void {
    this.post({ kind: 'stop' })
    this.#end(STOPPED_TEXT)
  }

  #end(text: string): void {
    this.#stopped = true
    this.#events.length = 0
    this.#timer?.cancel()
    for (const { answer } of this.#peerRequests.values()) answer({ kind: 'error', text })
    this.#peerRequests.clear()
  }

  #step(event: InputEvent): void {
    if (this.#stopped) return
    const { clock, listener } = this.#options
    this.#nowMs = Math.max(this.#nowMs, clock.monotonicMs())
    const output = this.#core.step({ now: this.#nowMs, ...event })
    this.#status = undefined
    if (output.persist !== undefined) this.#persist(output.persist)
    for (const outgoing of output.send) this.#send(outgoing)
    if (output.install !== undefined) this.#install(output.install)
    const results = this.#apply(output)
    if (output.takeSnapshot !== undefined) this.#takeSnapshot(output.takeSnapshot)
    for (const answer of output.answers) {
      const result = answer.kind === 'committed' ? results.get(answer.index) : undefined
      listener.answered(answer, result)
    }
    if (output.role !== undefined) {
      this.#role = output.role
      listener.role(output.role)
    }
    this.#tellCaughtUp(output)
    this.#setTimer(output.deadline)
  }

  #persist(persist: Persist): void {
    this.#options.store.persist(persist).then(
      () => this.post({ kind: 'persisted', sequence: persist.sequence }),
      (error: unknown) => this.fence(error),
    )
  }

  /** Results by index; most entries were proposed elsewhere, and nobody asks for theirs. */
  #apply(output: Output): Map<number, Result> {
    const { machine } = this.#options
    const results = new Map<number, Result>()
    for (const entry of output.apply) {
      if (entry.kind === 'command') {
        results.set(entry.index, machine.apply(entry.index, entry.data))
      }
      this.#appliedIndex = entry.index
    }
    return results
  }

  /** In this term's own first entry all earlier ones are committed [Raft 5.4.2, 8]. */
  #tellCaughtUp({ apply }: Output): void {
    const role = this.#role
    if (role?.kind !== 'leader') return
    const own = apply.some(({ kind, term }) => kind === 'noop' && term === role.term)
    if (own) this.#options.listener.caughtUp(role.term)
  }

  #setTimer(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs
    // An earlier timer that is still running looks for the next deadline when it fires.
    if (deadlineMs >= this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = deadlineMs
    const { clock } = this.#options
    // Timers count whole milliseconds: one that fires too early would only have to be set again.
    const pauseMs = Math.max(0, Math.ceil(deadlineMs - clock.monotonicMs()))
    this.#timer = clock.after(pauseMs, () => {
      this.#timerAtMs = Infinity
      if (clock.monotonicMs() < this.#deadlineMs) this.#setTimer(this.#deadlineMs)
      else this.post({ kind: 'tick' })
    })
  }

  #send(outgoing: Outgoing): void {
    if (outgoing.kind === 'request') {
      this.#call(outgoing).catch((error: unknown) => this.fence(error))
      return
    }
    const { id } = outgoing
    const waiting = this.#peerRequests.get(id)
    if (waiting === undefined) return
    this.#peerRequests.delete(id)
    if (waiting.staged !== undefined) void this.#options.store.discard(waiting.staged)
    waiting.answer(
      outgoing.kind === 'response'
        ? { kind: 'response', response: outgoing.response }
        : { kind: 'error', text: outgoing.text },
    )
  }

  async #call({ to, id, request }: Extract<Outgoing, { kind: 'request' }>): Promise<void> {
    const { network, store } = this.#options
    if (concernsVotes(request) && !this.#options.mayVote()) {
      await Promise.resolve()
      this.post({ kind: 'request-failed', from: to, id, text: NO_VOTE_TEXT })
      return
    }
    let state: Uint8Array | undefined
    if (request.kind === 'install-snapshot') {
      const newest = await store.newestSnapshot()
      if (newest?.position.index !== request.snapshot.index) {
        const text = 'the snapshot is not there any more'
        this.post({ kind: 'request-failed', from: to, id, text })
        // A snapshot that cannot be read any more has to be made again.
        if (newest === undefined) this.post({ kind: 'request-snapshot' })
        return
      }
      state = newest.state
    }
    const answer = await network.call(to, request, state)
    if (answer.kind === 'error') {
      this.post({ kind: 'request-failed', from: to, id, text: answer.text })
    } else {
      this.post({ kind: 'response', from: to, id, response: answer.response })
    }
  }

  #serve(from: string, request: Request, state: Uint8Array | undefined): Promise<RaftAnswer> {
    const text = this.#failure?.message ?? STOPPED_TEXT
    if (this.#stopped) return Promise.resolve({ kind: 'error', text })
    // A heartbeat waits for nothing but a term, and without it this server would campaign.
    if (this.#peerRequests.size >= PEER_REQUESTS_MAX && request.kind !== 'heartbeat') {
      return Promise.resolve({ kind: 'error', text: 'too many requests wait' })
    }
    if (concernsVotes(request) && !this.#options.mayVote()) {
      return Promise.resolve({ kind: 'error', text: NO_VOTE_TEXT })
    }
    return this.#ask(from, request, state)
  }

  /** Hands a peer's request to the core; a snapshot is stored aside before. */
  async #ask(from: string, request: Request, state: Uint8Array | undefined): Promise<RaftAnswer> {
    const { store, machine, logger } = this.#options
    let staged: StagedSnapshot | undefined
    if (request.kind === 'install-snapshot') {
      const unfit = state === undefined ? 'no bytes' : machine.whyUnreadable(state)
      if (state === undefined || unfit !== undefined) {
        return { kind: 'error', text: `unreadable snapshot: ${unfit ?? ''}` }
      }
      try {
        staged = await store.stage(request.snapshot, state)
      } catch (error) {
        logger.warn('metadata: a snapshot of the leader could not be stored', { error })
        return { kind: 'error', text: 'the snapshot could not be stored' }
      }
      if (this.#stopped) {
        await store.discard(staged)
        return { kind: 'error', text: STOPPED_TEXT }
      }
    }
    return new Promise((answer) => {
      const id = this.#nextRequestId++
      this.#peerRequests.set(id, { answer, staged })
      this.post({ kind: 'request', from, id, request })
    })
  }

  /** The core stands still where it matters until it is told how this ended. */
  #install({ id, snapshot }: SnapshotInstall): void {
    const { store, machine, logger } = this.#options
    const waiting = this.#peerRequests.get(id)
    const staged = waiting?.staged
    if (waiting === undefined || staged === undefined) {
      this.post({ kind: 'install-failed' })
      return
    }
    this.#peerRequests.set(id, { answer: waiting.answer, staged: undefined })
    store.install(staged).then(
      () => {
        if (this.#stopped) return
        try {
          machine.restore(snapshot.index, staged.state)
        } catch (error) {
          // It was found readable before, so now nobody knows what the machine holds.
          this.fence(error)
          return
        }
        this.#appliedIndex = snapshot.index
        logger.info('metadata: restored a snapshot of the leader', { index: snapshot.index })
        this.post({ kind: 'snapshot-installed' })
      },
      (error: unknown) => {
        logger.warn('metadata: a snapshot of the leader could not be put in place', { error })
        this.post({ kind: 'install-failed' })
      },
    )
  }

  #takeSnapshot(position: SnapshotPosition): void {
    const { store, machine, logger } = this.#options
    const state = machine.snapshot()
    store.saveSnapshot(position, state).then(
      () => {
        logger.debug('metadata: snapshot taken', { index: position.index, bytes: state.length })
        this.post({ kind: 'snapshot-taken', snapshot: position })
      },
      (error: unknown) => {
        logger.warn('metadata: a snapshot could not be written', { error })
        this.post({ kind: 'snapshot-failed' })
      },
    )
  }
}

const NO_VOTE_TEXT = 'not a whole member of the cluster yet'

const concernsVotes = ({ kind }: Request): boolean =>
  kind === 'request-vote' || kind === 'request-pre-vote' || kind === 'timeout-now'
