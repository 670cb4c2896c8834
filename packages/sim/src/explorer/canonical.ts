/**
 * One name for all states that differ only in which server is which. Servers are sorted by what
 * can be said of them without naming another; where that leaves a tie, all orders are tried.
 */
import { nameOf, type Scope, type Server, type State } from './state.ts'

export function canonicalText(scope: Scope, state: State): string {
  const ids = state.servers.map((_, id) => id)
  const portraits = ids.map((id) => portrait(state, id))
  const sorted = ids.toSorted((a, b) => compare(portraits[a] ?? '', portraits[b] ?? ''))
  let best: string | undefined
  for (const order of ordersOf(sorted, portraits)) {
    const text = textOf(scope, state, { order, portraits })
    if (best === undefined || text < best) best = text
  }
  return best ?? ''
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** All orders of servers that keep the portraits sorted. */
function ordersOf(sorted: readonly number[], portraits: readonly string[]): number[][] {
  const [first, ...rest] = sorted
  if (first === undefined) return [[]]
  const orders: number[][] = []
  for (const id of sorted) {
    if (portraits[id] !== portraits[first]) break
    const others = id === first ? rest : sorted.filter((other) => other !== id)
    for (const order of ordersOf(others, portraits)) orders.push([id, ...order])
  }
  return orders
}

/** A server as seen without names. */
function portrait(state: State, id: number): string {
  const server = state.servers[id]
  if (server === undefined) return ''
  const { records, epochs, synced, highWatermark, incarnation, proven, role } = server
  const view = knownOf(state, server.view, role.kind === 'follower')
  const viewAtStart = knownOf(state, server.viewAtStart, true)
  let text = `${synced},${highWatermark},${incarnation},${proven ? 1 : 0},${view},${viewAtStart};`
  for (const { epoch, value } of records) text += `${epoch}.${value} `
  text += ';'
  for (const { epoch, start } of epochs) text += `${epoch}@${start} `
  text += `;${roleText(server)};`
  for (const { leader, isr } of state.history) {
    text += leader === id ? 'L' : isr.includes(id) ? 'i' : '-'
  }
  return text
}

/** A follower acts on changes of the leader only, so how many others it has learned of is no matter. */
function knownOf(state: State, view: number, onlyLeaders: boolean): number {
  return onlyLeaders ? (state.history[view]?.leaderEpoch ?? 0) - 1 : view
}

function roleText({ role }: Server): string {
  switch (role.kind) {
    case 'none':
      return 'n'
    case 'leader': {
      const { written, synced, highWatermark } = role.state
      return `l${role.birth},${written},${synced},${highWatermark}`
    }
    case 'follower': {
      const { phase, leaderHighWatermark, leaderNewestOffset } = role
      const search = phase.kind === 'asking' ? `${phase.search.epoch}/${phase.search.limit}` : ''
      return `f${phase.kind}${search},${leaderHighWatermark},${leaderNewestOffset}`
    }
    default:
      return role satisfies never
  }
}

function textOf(
  scope: Scope,
  state: State,
  {
    order,
    portraits,
  }: { readonly order: readonly number[]; readonly portraits: readonly string[] },
): string {
  const placeOf = (id: number): number => order.indexOf(id)
  const placeOfName: Record<string, number> = {}
  for (let id = 0; id < scope.replicas; id++) placeOfName[nameOf(id)] = placeOf(id)
  let text = `${state.published},${state.restarts},${state.wipes}|`
  for (const id of order) text += `${portraits[id]}${knowledge(state, id, order)}|`
  for (const { leaderEpoch } of state.history) text += `${leaderEpoch} `
  text += '|'
  for (const proposal of state.proposals) {
    const { kind, replica, incarnation, leaderEpoch, partitionEpoch } = proposal
    text += `${kind}${placeOfName[replica]},${incarnation},${leaderEpoch},${partitionEpoch} `
  }
  text += '|'
  for (const { from, to, leaderEpoch, offset, syncedOffset, incarnation } of state.late) {
    text += `${placeOf(from)}>${placeOf(to)},${leaderEpoch},${offset},${syncedOffset},${incarnation} `
  }
  text += '|'
  for (const { epoch, value } of state.committed) text += `${epoch}.${value} `
  for (const leader of state.led) text += leader === undefined ? '-' : placeOf(leader)
  return text
}

/** What a leader knows of the others. */
function knowledge(state: State, id: number, order: readonly number[]): string {
  const role = state.servers[id]?.role
  if (role?.kind !== 'leader' || role.state.replicas === undefined) return ''
  const { isr, replicas } = role.state.replicas
  let text = `${isr.kind},${isr.partitionEpoch},`
  for (const other of order) {
    const replica = replicas.find((candidate) => candidate.id === nameOf(other))
    if (replica === undefined) continue
    const { held, known, incarnation } = replica
    const isPending = isr.pending?.replica === replica.id ? `p${isr.pending.incarnation}` : ''
    text += `${isr.members.includes(replica.id) ? 'm' : ''}${isPending}`
    text += `${held}${known ? '' : 'u'},${incarnation} `
  }
  return text
}
