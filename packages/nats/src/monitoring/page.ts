import type { ClientConnection } from '../clients/client-connection.ts'
import type { NatsTls } from '../clients/tls.ts'
import type { NatsLimits } from '../limits.ts'
import type { ServerInfo } from '../protocol/server-info.ts'
import type { Router } from '../routing/router.ts'
import { fromByteString } from '../routing/subject.ts'
import type { Subscription } from '../routing/subscription.ts'
import type { NatsServerStats } from '../server.ts'
import type { MonitorEvent } from './monitor.ts'

/** What the pages are made from. */
export interface MonitorSource {
  readonly info: () => ServerInfo
  readonly stats: () => NatsServerStats
  readonly clients: () => ReadonlyMap<number, ClientConnection>
  readonly router: Router
  readonly limits: NatsLimits
  readonly settings: { readonly authTimeoutMs: number; readonly tls: NatsTls | undefined }
  readonly onEvent: (event: MonitorEvent) => void
}

/** Makes the JSON of one page. Throws BadQuery. */
export type Page = (query: URLSearchParams) => object

/** The question has a parameter of the wrong form. */
export class BadQuery extends Error {}

/** A whole number that is not negative; `otherwise` where the question has none. */
export function numberIn(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name)
  if (text === null) return otherwise
  if (!/^\d{1,9}$/.test(text)) throw new BadQuery(`Error decoding int for '${name}'`)
  return Number(text)
}

export function flagIn(query: URLSearchParams, name: string): boolean {
  return ['1', 't', 'true'].includes(query.get(name)?.toLowerCase() ?? '')
}

/** Most entries that one answer has, so that a question costs milliseconds. */
export const PAGE_MAX = 1024

export function pageOf(query: URLSearchParams): { offset: number; limit: number } {
  const asked = numberIn(query, 'limit', PAGE_MAX)
  return {
    offset: numberIn(query, 'offset', 0),
    limit: asked === 0 ? PAGE_MAX : Math.min(PAGE_MAX, asked),
  }
}

export function describeSubscription(subscription: Subscription, cid: number): object {
  const { subject, queue, sid, delivered, max } = subscription
  return {
    subject: fromByteString(subject),
    ...(queue === '' ? {} : { qgroup: fromByteString(queue) }),
    sid: fromByteString(sid),
    msgs: delivered,
    ...(max > 0 ? { max } : {}),
    cid,
  }
}

/** `1d2h3m4s`, without the leading units that are 0. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const units: readonly (readonly [string, number])[] = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3600) % 24],
    ['m', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ]
  const first = units.findIndex(([unit, count]) => count > 0 || unit === 's')
  return units
    .slice(first)
    .map(([unit, count]) => `${count}${unit}`)
    .join('')
}
