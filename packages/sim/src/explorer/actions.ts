/** Everything that may happen next, in a fixed order. */
import type { FetchAnswer, IsrProposal } from '@liftbridge/replication'
import { must, nameOf, type Cores, type LateFetch, type Scope, type State } from './state.ts'
import { sameRecord, World } from './world.ts'

export type Action = {
  readonly name: string
  /** Changes the world; throws `Violation`. */
  readonly apply: (world: World) => void
}

export function actionsOf(cores: Cores, scope: Scope, state: State): readonly Action[] {
  const world = new World(cores, scope, state)
  const actions: Action[] = []
  for (let id = 0; id < scope.replicas; id++) {
    actions.push(...ownActions(world, id), ...exchanges(world, id), ...restarts(world, id))
  }
  return [...actions, ...deliveries(world), ...elections(world)]
}

/** The state after an action; throws `Violation` when a rule is broken. */
export function after(world: { cores: Cores; scope: Scope }, state: State, action: Action): State {
  const next = new World(world.cores, world.scope, state)
  action.apply(next)
  checkState(next)
  const mayArrive = mayChangeIsr(next)
  next.state.proposals = next.state.proposals.filter(
    (proposal) => mayArrive && next.isApplicable(proposal),
  )
  return next.state
}

function ownActions(world: World, id: number): Action[] {
  const actions: Action[] = []
  const { role, records, synced } = world.server(id)
  const { state, scope } = world
  const name = nameOf(id)
  const view = world.nextView(id)
  if (view !== undefined) {
    actions.push({ name: `${name} learns ${view + 1}`, apply: (next) => learn(next, id) })
  }
  // A follower syncs at once: a crash before that is a crash before it had the record.
  if (role.kind === 'leader' && synced < records.length - 1) {
    actions.push({ name: `${name} syncs`, apply: (next) => next.sync(id) })
  }
  if (role.kind !== 'leader') return actions
  if (state.published < scope.records) {
    actions.push({ name: `${name} publishes`, apply: (next) => next.publish(id) })
  }
  const { replicas } = role.state
  const isr = replicas?.isr
  if (isr === undefined || replicas === undefined || !mayChangeIsr(world)) return actions
  // What is based on an old state of the metadata can only be refused.
  const isInert = scope.compareAndSet && isr.partitionEpoch !== state.history.length
  if (isr.pending !== undefined || isInert) return actions
  for (const replica of replicas.replicas) {
    if (!isr.members.includes(replica.id)) continue
    const what = `${name} finds ${replica.id} lagging`
    actions.push({ name: what, apply: (next) => findLagging(next, id, replica.id) })
  }
  return actions
}

function learn(world: World, id: number): void {
  const before = world.pendingFetch(id)
  const epoch = before?.leaderEpoch
  world.learn(id)
  if (world.viewOf(id).leaderEpoch !== epoch) world.leaveRequestBehind(before)
}

function findLagging(world: World, id: number, lagging: string): void {
  const { role } = world.server(id)
  must(role.kind === 'leader' && role.state.replicas !== undefined, 'a leader watches')
  const set = role.state.replicas
  const replicas = set.replicas.map((replica) =>
    replica.id === lagging ? { ...replica, caughtUpAtMs: -2000 } : replica,
  )
  const state = { ...role.state, replicas: { ...set, replicas } }
  world.change(id, { role: { ...role, state } })
  world.lead(id, { kind: 'tick', now: 0 })
}

/** A follower's request meets its leader, with its answer or without. */
function exchanges(world: World, id: number): Action[] {
  const { role } = world.server(id)
  if (role.kind !== 'follower') return []
  const { leader } = world.viewOf(id)
  const name = nameOf(id)
  const { role: other, view } = world.server(leader)
  if (other.kind !== 'leader') return []
  const epoch = world.state.history[view]?.leaderEpoch
  if (role.phase.kind === 'asking') {
    if (epoch !== world.viewOf(id).leaderEpoch) return []
    return [{ name: `${name} asks ${nameOf(leader)}`, apply: (next) => ask(next, id, leader) }]
  }
  const fetch = world.pendingFetch(id)
  if (fetch === undefined) return []
  return [
    {
      name: `${name} fetches from ${nameOf(leader)}`,
      apply: (next) => deliver(next, fetch, next.fetch(fetch, 1)),
    },
    {
      // It asks again, and nothing has changed on its side.
      name: `${name} fetches from ${nameOf(leader)}, answer lost`,
      apply: (next) => {
        next.fetch(fetch, 1)
      },
    },
  ]
}

function ask(world: World, id: number, leader: number): void {
  const { records, epochs } = world.server(leader)
  const { leaderEpoch } = world.viewOf(leader)
  const from = { leaderId: nameOf(leader), leaderEpoch }
  // Within a leadership the answers are the same whenever they are asked for.
  for (let round = 0; ; round++) {
    const { role } = world.server(id)
    if (role.kind !== 'follower' || role.phase.kind !== 'asking') return
    must(round <= epochs.length + 1, `L1: ${nameOf(id)} asks for ever`)
    const end = world.cores.endOfEpoch(epochs, role.phase.search.epoch, records.length)
    world.follow(id, { kind: 'epoch-answer', requestId: 1, ...from, ...end, now: 0 }, [])
  }
}

function deliver(world: World, fetch: LateFetch, answer: FetchAnswer | undefined): void {
  if (answer === undefined || answer.kind === 'refuse') return
  const { records: all } = world.server(fetch.to)
  // Records are sent one by one: every state in between is one that a crash could leave.
  const firstOffset = fetch.offset + 1
  const record = answer.kind === 'serve' ? all[answer.fromOffset] : undefined
  const { highWatermark } = answer
  const summary = record && {
    firstOffset,
    lastOffset: firstOffset,
    firstEpoch: record.epoch,
    lastEpoch: record.epoch,
  }
  world.follow(
    fetch.from,
    {
      kind: 'fetched',
      requestId: 1,
      leaderEpoch: fetch.leaderEpoch,
      highWatermark,
      records: summary,
      oldestOffset: all.length === 0 ? -1 : 0,
      newestOffset: all.length - 1,
      now: 0,
    },
    record === undefined ? [] : [record],
  )
}

function restarts(world: World, id: number): Action[] {
  const { scope, state } = world
  const { records, synced, view, proven } = world.server(id)
  const actions: Action[] = []
  const name = nameOf(id)
  if (state.restarts < scope.restarts) {
    const views = scope.staleViews && view > 0 ? [view, view - 1] : [view]
    const ends = synced < records.length - 1 ? [records.length, synced + 1] : [records.length]
    for (const at of views) {
      for (const end of ends) {
        // With sync policy `never` a power cut breaks its promise when nobody else has the records.
        const isLoss = end < records.length && scope.policy === 'never'
        if (isLoss && !othersHold(world, id)) continue
        const what = `${name} restarts with ${end} of ${records.length} records, view ${at + 1}`
        actions.push({ name: what, apply: (next) => restart(next, id, { end, view: at }) })
      }
    }
  }
  if (state.wipes < scope.wipes && proven && othersHold(world, id)) {
    actions.push({ name: `${name} gets an empty disk`, apply: (next) => wipe(next, id) })
  }
  return actions
}

/**
 * Another member of the ISR must survive for the promise to stand. The leader does not count: it
 * may have a proposal on its way that leaves it alone in the ISR.
 */
function othersHold(world: World, id: number): boolean {
  const { isr, leader } = world.newestMetadata
  if (id === leader) return false
  return isr.some((member) => member !== id && world.server(member).proven)
}

function restart(
  world: World,
  id: number,
  to: { readonly end: number; readonly view: number },
): void {
  const { records, epochs, highWatermark, incarnation, view, viewAtStart, proven } =
    world.server(id)
  world.leaveRequestBehind(world.pendingFetch(id))
  world.leaveProposalBehind(world.pendingProposal(id))
  world.state.restarts += 1
  const lost = to.end < records.length
  world.change(id, {
    records: records.slice(0, to.end),
    epochs: epochs.filter(({ start }) => start <= to.end),
    highWatermark: Math.min(highWatermark, world.server(id).synced),
    incarnation: incarnation + 1,
    view: to.view,
    viewAtStart: Math.max(view, viewAtStart),
    proven: proven && !(lost && world.scope.policy === 'never'),
  })
  world.takeRole(id)
}

function wipe(world: World, id: number): void {
  const { incarnation, view, viewAtStart } = world.server(id)
  world.leaveRequestBehind(world.pendingFetch(id))
  world.leaveProposalBehind(world.pendingProposal(id))
  world.state.wipes += 1
  world.change(id, {
    records: [],
    epochs: [],
    synced: -1,
    highWatermark: -1,
    incarnation: incarnation + 1,
    viewAtStart: Math.max(view, viewAtStart),
    proven: false,
  })
  world.takeRole(id)
}

/** Proposals reach the metadata, and late fetches their leader. */
function deliveries(world: World): Action[] {
  const { proposals, late } = world.state
  const actions: Action[] = []
  const waiting = world.state.servers.map((_, id) => world.pendingProposal(id))
  for (const proposal of mayChangeIsr(world) ? [...waiting, ...proposals] : []) {
    if (proposal === undefined || !world.isApplicable(proposal)) continue
    const { kind, replica, partitionEpoch } = proposal
    const name = `${kind} of ${replica} on ${partitionEpoch} reaches the metadata`
    actions.push({ name, apply: (next) => decideProposal(next, proposal) })
  }
  late.forEach((fetch, i) => {
    const name = `a late fetch of ${nameOf(fetch.from)} at ${fetch.offset} arrives`
    actions.push({
      name,
      apply: (next) => {
        next.state.late = next.state.late.filter((_, at) => at !== i)
        next.fetch(fetch, 2)
      },
    })
  })
  return actions
}

/** Compare-and-set on both epochs, where it is applied [R7]. */
function decideProposal(world: World, proposal: IsrProposal): void {
  const { isr, leader } = world.newestMetadata
  const id = world.idOf(proposal.replica)
  if (id === leader) return
  const rest = isr.filter((member) => member !== id)
  world.decide({ isr: proposal.kind === 'shrink' ? rest : [...rest, id].sort((a, b) => a - b) })
}

function elections(world: World): Action[] {
  const { state, scope } = world
  if (epochsOf(state) >= scope.epochs) return []
  return world.newestMetadata.isr.map((leader) => ({
    name: `${nameOf(leader)} is elected`,
    apply: (next) => next.decide({ leader, leaderEpoch: next.state.history.length + 1 }),
  }))
}

function mayChangeIsr({ state, scope }: World): boolean {
  return state.history.length - epochsOf(state) < scope.isrChanges
}

/** Leaderships so far. */
function epochsOf(state: State): number {
  return new Set(state.history.map(({ leaderEpoch }) => leaderEpoch)).size
}

/** What must hold in every state, whatever led to it. */
function checkState(world: World): void {
  const { servers, history } = world.state
  for (const member of world.newestMetadata.isr) checkMember(world, member)
  servers.forEach((server, a) => {
    must(server.highWatermark < server.records.length, 'R3: within the log')
    for (let b = a + 1; b < servers.length; b++) checkMatching(world, a, b)
    const { role, view, highWatermark } = server
    if (role.kind !== 'leader') return
    const newest = world.newestMetadata
    if (history[view]?.leaderEpoch !== newest.leaderEpoch) return
    must(newest.isr.includes(newest.leader), 'R5: the leader is in the ISR')
    for (const member of newest.isr) {
      const { synced, records, proven } = world.server(member)
      const held = world.scope.policy === 'never' ? records.length - 1 : synced
      must(highWatermark <= held || !proven, `R4: ${nameOf(member)} lacks what is committed`)
    }
  })
}

/** Whoever may be elected has everything that was ever committed, durably [D1]. */
function checkMember(world: World, id: number): void {
  const { records, synced, proven } = world.server(id)
  const end = world.scope.policy === 'never' ? records.length : synced + 1
  world.state.committed.forEach((record, offset) => {
    const isHeld = offset < end && sameRecord(records[offset], record)
    must(isHeld || !proven, `D1: ${nameOf(id)} is in the ISR without offset ${offset}`)
  })
}

/** The same epoch at the same offset is the same record, with the same past [R1]. */
function checkMatching(world: World, a: number, b: number): void {
  const left = world.server(a).records
  const right = world.server(b).records
  let differ = false
  for (let offset = 0; offset < Math.min(left.length, right.length); offset++) {
    const one = left[offset]
    const other = right[offset]
    const same = one?.epoch === other?.epoch
    const equal = same && one?.value === other?.value
    must(!same || (equal && !differ), `R1: offset ${offset} on ${nameOf(a)} and ${nameOf(b)}`)
    differ ||= !equal
  }
}
