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
