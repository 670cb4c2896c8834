import type { ServerId } from './units.ts'

/** 'staging' occurs in configurations of older peers only; it counts as a non-voter. */
export type Suffrage = 'voter' | 'non-voter' | 'staging'

export interface Member {
  readonly id: ServerId
  /** Equal to `id` in Liftbridge; kept so that a configuration survives the wire unchanged. */
  readonly address: string
  readonly suffrage: Suffrage
}

/** Who belongs to the cluster. Ids and addresses are unique; the order is kept, it is on the wire. */
export interface Configuration {
  readonly servers: readonly Member[]
}

/**
 * One change of the membership [LB 2.2]. Adding a voter that is one only refreshes its address;
 * adding a non-voter never demotes a voter; removing a stranger changes nothing. Each of these
 * still appends a configuration entry.
 */
export type MembershipChange =
  | { readonly kind: 'add-voter'; readonly id: ServerId; readonly address: string }
  | { readonly kind: 'add-non-voter'; readonly id: ServerId; readonly address: string }
  | { readonly kind: 'remove'; readonly id: ServerId }

export const EMPTY_CONFIGURATION: Configuration = { servers: [] }

export function memberOf(configuration: Configuration, id: ServerId): Member | undefined {
  return configuration.servers.find((member) => member.id === id)
}

export function isVoter(configuration: Configuration, id: ServerId): boolean {
  return memberOf(configuration, id)?.suffrage === 'voter'
}

export function votersOf(configuration: Configuration): readonly ServerId[] {
  return configuration.servers.flatMap(({ id, suffrage }) => (suffrage === 'voter' ? [id] : []))
}

/** The configuration after `change`, or why there can be none. */
export function changed(
  before: Configuration,
  change: MembershipChange,
): { readonly kind: 'ok'; readonly configuration: Configuration } | InvalidConfiguration {
  const servers = serversAfter(before.servers, change)
  const reason = whyInvalid(servers)
  return reason === undefined
    ? { kind: 'ok', configuration: { servers } }
    : { kind: 'invalid', reason }
}

interface InvalidConfiguration {
  readonly kind: 'invalid'
  readonly reason: string
}

function serversAfter(servers: readonly Member[], change: MembershipChange): readonly Member[] {
  const { kind, id } = change
  if (kind === 'remove') return servers.filter((member) => member.id !== id)
  const before = servers.find((member) => member.id === id)
  const suffrage = kind === 'add-voter' || before?.suffrage === 'voter' ? 'voter' : 'non-voter'
  const member: Member = { id, address: change.address, suffrage }
  if (before === undefined) return [...servers, member]
  return servers.map((other) => (other.id === id ? member : other))
}

function whyInvalid(servers: readonly Member[]): string | undefined {
  if (servers.some(({ id, address }) => id === '' || address === '')) return 'empty id or address'
  if (new Set(servers.map(({ id }) => id)).size < servers.length) return 'an id occurs twice'
  if (new Set(servers.map(({ address }) => address)).size < servers.length) {
    return 'an address occurs twice'
  }
  if (!servers.some(({ suffrage }) => suffrage === 'voter')) return 'no voter is left'
  return undefined
}
