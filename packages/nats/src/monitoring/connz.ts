import { TLSSocket } from 'node:tls'
import type { ClientConnection } from '../clients/client-connection.ts'
import { fromByteString } from '../routing/subject.ts'
import {
  BadQuery,
  describeSubscription,
  flagIn,
  numberIn,
  PAGE_MAX,
  pageOf,
  span,
  type MonitorSource,
} from './page.ts'

/**
 * The clients over TCP. `?subs=1|detail`, `auth=1`, `cid=`, `sort=`, `offset=`, `limit=`. Clients
 * that have left are not kept, so `state=closed` is empty.
 */
export function connz(source: MonitorSource, query: URLSearchParams): object {
  const { offset, limit } = pageOf(query)
  const sort = query.get('sort') ?? 'cid'
  const weigh = SORTS.get(sort === '' ? 'cid' : sort)
  if (weigh === undefined) throw new BadQuery(`invalid sorting option: ${sort}`)
  const state = query.get('state') ?? 'open'
  if (!STATES.has(state.toLowerCase())) throw new BadQuery(`Error decoding state for ${state}`)
  const cid = numberIn(query, 'cid', 0)
  const nowMs = performance.now()
  const open = state.toLowerCase() === 'closed' ? [] : [...source.clients().values()]
  const wanted = cid === 0 ? open : open.filter((client) => client.id === cid)
  const page = wanted
    .map((client) => ({ client, weight: weigh(client, nowMs) }))
    .sort((a, b) => b.weight - a.weight)
    .slice(offset, offset + limit)
  const shown = shownOf(query)
  return {
    server_id: source.info().server_id,
    now: new Date().toISOString(),
    num_connections: page.length,
    total: wanted.length,
    offset,
    limit,
    connections: page.map(({ client }) => describe(client, nowMs, shown)),
  }
}

/** The heaviest first; `cid` and `start` have the oldest first. */
const SORTS: ReadonlyMap<string, (client: ClientConnection, nowMs: number) => number> = new Map<
  string,
  (client: ClientConnection, nowMs: number) => number
>([
  ['cid', (client) => -client.id],
  ['start', (client) => -client.id],
  ['subs', (client) => client.subscriptions.size],
  ['pending', (client) => client.pendingBytes],
  ['msgs_to', (client) => client.traffic.outMessages],
  ['msgs_from', (client) => client.traffic.inMessages],
  ['bytes_to', (client) => client.traffic.outBytes],
  ['bytes_from', (client) => client.traffic.inBytes],
  ['last', (client, nowMs) => -client.idleMs(nowMs)],
  ['idle', (client, nowMs) => client.idleMs(nowMs)],
  ['uptime', (client) => -client.id],
  ['rtt', (client) => client.traffic.rttMs ?? 0],
])

const STATES = new Set(['open', 'closed', 'any', 'all'])

interface Shown {
  readonly subscriptions: 'none' | 'subjects' | 'detail'
  readonly users: boolean
}

function shownOf(query: URLSearchParams): Shown {
  const detail = query.get('subs') === 'detail'
  const subscriptions = detail ? 'detail' : flagIn(query, 'subs') ? 'subjects' : 'none'
  return { subscriptions, users: flagIn(query, 'auth') }
}

function describe(client: ClientConnection, nowMs: number, shown: Shown): object {
  const { id, socket, traffic, user } = client
  const { lang, version } = client.options
  const idleMs = client.idleMs(nowMs)
  const listed = [...client.subscriptions.values()].slice(0, PAGE_MAX)
  return {
    cid: id,
    kind: 'Client',
    type: 'nats',
    ip: socket.remoteAddress ?? '',
    port: socket.remotePort ?? 0,
    start: new Date(traffic.startedAtMs).toISOString(),
    last_activity: new Date(Date.now() - idleMs).toISOString(),
    ...(traffic.rttMs === undefined ? {} : { rtt: `${Math.ceil(traffic.rttMs * 1000)}µs` }),
    uptime: span(Date.now() - traffic.startedAtMs),
    idle: span(idleMs),
    pending_bytes: client.pendingBytes,
    in_msgs: traffic.inMessages,
    out_msgs: traffic.outMessages,
    in_bytes: traffic.inBytes,
    out_bytes: traffic.outBytes,
    subscriptions: client.subscriptions.size,
    ...(client.name === '' ? {} : { name: client.name }),
    ...(lang === '' ? {} : { lang }),
    ...(version === '' ? {} : { version }),
    ...(socket instanceof TLSSocket
      ? { tls_version: socket.getProtocol()?.slice(4), tls_cipher_suite: socket.getCipher().name }
      : {}),
    ...(shown.users && user !== '' ? { authorized_user: user } : {}),
    ...(shown.subscriptions === 'subjects'
      ? { subscriptions_list: listed.map(({ subject }) => fromByteString(subject)) }
      : {}),
    ...(shown.subscriptions === 'detail'
      ? { subscriptions_list_detail: listed.map((one) => describeSubscription(one, id)) }
      : {}),
  }
}
