/**
 * Carries out steps on a state: builds the core of a server's role from plain data, steps it, does
 * what it says to the server's log, and turns it into plain data again.
 */
import type {
  FollowerInput,
  FollowerOutput,
  IsrProposal,
  LeaderInput,
  LeaderOutput,
} from '@liftbridge/replication'
import {
  followerOptions,
  followerRole,
  followerState,
  leaderOptions,
  logOf,
  metadataOf,
  settledLeader,
} from './core-state.ts'
import {
  must,
  nameOf,
  NAMES,
  type Cores,
  type ExploredRecord,
  type LateFetch,
  type Metadata,
  type Role,
  type Scope,
  type Server,
  type State,
} from './state.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

const NONE: Role = { kind: 'none' }

export class World {
  readonly scope: Scope
  readonly cores: Cores
  /** Replaced, never changed in place, but for the server under work. */
  state: Mutable<State>
  readonly #names: readonly string[]

  constructor(cores: Cores, scope: Scope, state: State) {
    this.cores = cores
    this.scope = scope
    this.state = { ...state, servers: [...state.servers] }
    this.#names = NAMES.slice(0, scope.replicas)
  }

  server(id: number): Server {
    const server = this.state.servers[id]
    must(server !== undefined, `server ${id}`)
    return server
  }

  idOf(name: string): number {
    return this.#names.indexOf(name)
  }

  change(id: number, change: Partial<Server>): void {
    const servers = [...this.state.servers]
    servers[id] = { ...this.server(id), ...change }
    this.state.servers = servers
  }

  /** What a server knows of the metadata. */
  viewOf(id: number): Metadata {
    const metadata = this.state.history[this.server(id).view]
    must(metadata !== undefined, `view of ${id}`)
    return metadata
  }

  get newestMetadata(): Metadata {
    const metadata = this.state.history.at(-1)
    must(metadata !== undefined, 'metadata')
    return metadata
  }

  decide(change: Partial<Metadata>): void {
    this.state.history = [...this.state.history, { ...this.newestMetadata, ...change }]
  }

  /**
   * Where a server's view of the metadata goes next; undefined when it knows all. A follower acts
   * on changes of the leader only, so it takes in what comes before one together with it.
   */
  nextView(id: number): number | undefined {
    const { view, role } = this.server(id)
    const { history } = this.state
    if (role.kind !== 'follower') return view + 1 < history.length ? view + 1 : undefined
    const { leaderEpoch } = this.viewOf(id)
    const next = history.findIndex((later, at) => at > view && later.leaderEpoch !== leaderEpoch)
    return next < 0 ? undefined : next
  }

  /** The next piece of metadata reaches a server. */
  learn(id: number): void {
    const before = this.server(id)
    const old = this.state.history[before.view]
    const proposal = this.pendingProposal(id)
    const view = this.nextView(id)
    must(view !== undefined, 'something to learn')
    this.change(id, { view })
    const metadata = this.viewOf(id)
    if (old?.leaderEpoch !== metadata.leaderEpoch) {
      this.leaveProposalBehind(proposal)
      this.takeRole(id)
    } else if (before.role.kind === 'leader') {
      this.lead(id, { kind: 'metadata', ...metadataOf(this, id), now: 0 })
    } else if (metadata.leader === id) this.takeRole(id)
  }

  /** The fetch that a follower has sent, if its role waits for the answer to one. */
  pendingFetch(id: number): LateFetch | undefined {
    const { role, records, synced, incarnation } = this.server(id)
    if (role.kind !== 'follower' || role.phase.kind !== 'fetching') return undefined
    const { leader, leaderEpoch } = this.viewOf(id)
    const offset = records.length - 1
    const syncedOffset = this.scope.policy === 'never' ? offset : synced
    return { from: id, to: leader, leaderEpoch, offset, syncedOffset, incarnation }
  }

  /** What it had sent may still arrive. */
  leaveRequestBehind(fetch: LateFetch | undefined): void {
    const { late } = this.state
    if (fetch === undefined || late.length >= this.scope.late) return
    this.state.late = [...late, fetch]
  }

  takeRole(id: number): void {
    const { records, epochs, proven, viewAtStart } = this.server(id)
    const { leader, leaderEpoch, isr } = this.viewOf(id)
    this.change(id, { role: NONE })
    if (leader !== id) {
      const begun = new this.cores.PartitionFollower(followerOptions(this, id))
      this.#carryOut(id, begun, { kind: 'tick', now: 0 }, [])
      return
    }
    const decision = this.cores.decideLeadership({
      serverId: nameOf(id),
      replicas: this.#names,
      isr: isr.map(nameOf),
      leaderEpoch,
      latestEpoch: this.cores.latestEpoch(epochs),
      knownAtStart: viewAtStart + 1,
      continues: false,
      proven,
    })
    if (decision !== 'lead') return
    const birth = records.length
    const isNew = leaderEpoch > this.cores.latestEpoch(epochs)
    this.change(id, {
      synced: birth - 1,
      epochs: isNew ? [...epochs, { epoch: leaderEpoch, start: birth }] : epochs,
    })
    const born = new this.cores.PartitionLeader(leaderOptions(this, id, birth))
    this.change(id, { role: { kind: 'leader', birth, state: born.state } })
    this.#onLeading(id, leaderEpoch)
  }

  /** No epoch is led twice [E1], and whoever leads the newest has all that was committed [D1]. */
  #onLeading(id: number, epoch: number): void {
    const { led, committed } = this.state
    must(led[epoch] === undefined, `E1: epoch ${epoch} is led twice`)
    this.state.led = Object.assign([], led, { [epoch]: id })
    if (led.length > epoch) return
    const { records } = this.server(id)
    committed.forEach((record, offset) => {
      must(sameRecord(records[offset], record), `D1: ${nameOf(id)} leads without offset ${offset}`)
    })
  }

  publish(id: number): void {
    const { records } = this.server(id)
    const value = this.state.published
    this.state.published = value + 1
    this.change(id, { records: [...records, { epoch: this.viewOf(id).leaderEpoch, value }] })
    const newestOffset = records.length
    this.lead(id, { kind: 'written', newestOffset, firstAllOffset: newestOffset })
  }

  sync(id: number): void {
    const { role, records } = this.server(id)
    const offset = records.length - 1
    this.change(id, { synced: offset })
    if (role.kind === 'leader') this.lead(id, { kind: 'synced', offset })
    else this.follow(id, { kind: 'synced', offset, now: 0 }, [])
  }

  lead(id: number, input: LeaderInput): LeaderOutput {
    const { role } = this.server(id)
    must(role.kind === 'leader', 'steps a leader')
    const leader = this.cores.PartitionLeader.restore(
      leaderOptions(this, id, role.birth),
      role.state,
    )
    const output = leader.step(input)
    if (output.highWatermark >= 0) this.#raise(id, output.highWatermark, true)
    const { standing } = leader
    const state = standing.kind === 'fenced' ? undefined : settledLeader(leader.state)
    const before = this.pendingProposal(id)
    this.change(id, { role: state ? { kind: 'leader', birth: role.birth, state } : NONE })
    if (this.pendingProposal(id) === undefined) this.leaveProposalBehind(before)
    return output
  }

  /** What a leader has proposed and waits for. */
  pendingProposal(id: number): IsrProposal | undefined {
    const { role } = this.server(id)
    const isr = role.kind === 'leader' ? role.state.replicas?.isr : undefined
    if (isr?.pending === undefined) return undefined
    const { replica, incarnation } = isr.pending
    const kind = isr.kind === 'pending-shrink' ? 'shrink' : 'expand'
    const { leaderEpoch } = this.viewOf(id)
    return { kind, replica, incarnation, leaderEpoch, partitionEpoch: isr.partitionEpoch }
  }

  /** It may still arrive. What compare-and-set would refuse anyway is forgotten. */
  leaveProposalBehind(proposal: IsrProposal | undefined): void {
    const { proposals } = this.state
    if (proposal === undefined || proposals.length >= 1 || !this.isApplicable(proposal)) return
    this.state.proposals = [...proposals, proposal]
  }

  isApplicable({ partitionEpoch, leaderEpoch }: IsrProposal): boolean {
    if (!this.scope.compareAndSet) return true
    const { leaderEpoch: current } = this.newestMetadata
    return partitionEpoch === this.state.history.length && leaderEpoch === current
  }

  /** Delivers a fetch; the answer if there is one. */
  fetch(fetch: LateFetch, token: number): LeaderOutput['answers'][number] | undefined {
    if (this.server(fetch.to).role.kind !== 'leader') return undefined
    const { offset, syncedOffset, incarnation, leaderEpoch } = fetch
    const possession = { offset, syncedOffset, incarnation, leaderEpoch }
    const replicaId = nameOf(fetch.from)
    const asked = { kind: 'fetch', token, replicaId, maxWaitMs: 0, now: 0 } as const
    const { answers } = this.lead(fetch.to, { ...asked, ...possession })
    return answers.find((answer) => answer.token === token)
  }

  follow(id: number, input: FollowerInput, records: readonly ExploredRecord[]): void {
    const { role } = this.server(id)
    if (role.kind !== 'follower') return
    const options = followerOptions(this, id)
    const follower = this.cores.PartitionFollower.restore(
      options,
      followerState(this.server(id), role),
    )
    this.#carryOut(id, follower, input, records)
  }

  #carryOut(
    id: number,
    follower: InstanceType<Cores['PartitionFollower']>,
    input: FollowerInput,
    records: readonly ExploredRecord[],
  ): void {
    const output = follower.step(input)
    must(output.fault === undefined, `R6: ${nameOf(id)} is asked to give up committed records`)
    if (output.highWatermark >= 0) this.#raise(id, output.highWatermark, false)
    const next = this.#work(id, output, records)
    this.change(id, { proven: this.server(id).proven || follower.proven })
    this.change(id, { role: followerRole(this.server(id), follower.state) })
    if (next !== undefined) this.#carryOut(id, follower, next, [])
    else if (output.sync) this.sync(id)
  }

  /** Truncations and appends, done at once; what the core is to be told of them. */
  #work(
    id: number,
    output: FollowerOutput,
    records: readonly ExploredRecord[],
  ): FollowerInput | undefined {
    const server = this.server(id)
    if (output.truncateTo >= 0) {
      const end = output.truncateTo
      must(end > server.highWatermark, `R6: ${nameOf(id)} cuts at ${end} what is committed`)
      this.change(id, {
        records: server.records.slice(0, end),
        epochs: server.epochs.filter(({ start }) => start < end),
        synced: Math.min(server.synced, end - 1),
      })
      return { kind: 'truncated', log: logOf(this.server(id)), now: 0 }
    }
    if (output.append === undefined) return undefined
    const epochs = [...server.epochs]
    records.forEach(({ epoch }, i) => {
      const latest = this.cores.latestEpoch(epochs)
      must(epoch >= latest, `E3: ${nameOf(id)} appends epoch ${epoch} after ${latest}`)
      if (epoch > latest) epochs.push({ epoch, start: server.records.length + i })
    })
    this.change(id, { records: [...server.records, ...records], epochs })
    return { kind: 'appended', log: logOf(this.server(id)), now: 0 }
  }

  /** What is committed once is committed for ever, and the same on all servers [D1, R2, R4]. */
  #raise(id: number, highWatermark: number, isLeader: boolean): void {
    const { records, highWatermark: before } = this.server(id)
    must(highWatermark >= before, `R4: the high watermark of ${nameOf(id)} falls`)
    must(highWatermark < records.length, `R3: ${nameOf(id)} commits what it does not have`)
    const enough = !isLeader || this.viewOf(id).isr.length >= this.scope.minIsr
    must(enough, `R5: ${nameOf(id)} commits below min ISR`)
    const committed = [...this.state.committed]
    for (let offset = 0; offset <= highWatermark; offset++) {
      const record = records[offset]
      if (record === undefined) continue
      committed[offset] ??= record
      must(sameRecord(committed[offset], record), `R2: offset ${offset} on ${nameOf(id)}`)
    }
    this.state.committed = committed
    this.change(id, { highWatermark })
  }
}

export function sameRecord(a: ExploredRecord | undefined, b: ExploredRecord | undefined): boolean {
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.value === b.value
}
