import type { Configuration } from './configuration.ts'
import type { Index, Term } from './units.ts'

interface Position {
  readonly index: Index
  readonly term: Term
  /**
   * When the first leader appended it, in nanoseconds since 1970. Carried for the wire and the
   * store, never looked at; the driver gives it with a proposal, entries of the core's own making
   * have none.
   */
  readonly appendedAtNs?: bigint
}

export interface CommandEntry extends Position {
  readonly kind: 'command'
  readonly data: Uint8Array
}

/** A leader's first entry; it makes what earlier terms left behind commit [Raft 5.4.2, 8]. */
export interface NoopEntry extends Position {
  readonly kind: 'noop'
}

/** Changes nothing; that it is applied says that everything before it is. */
export interface BarrierEntry extends Position {
  readonly kind: 'barrier'
}

export interface ConfigurationEntry extends Position {
  readonly kind: 'configuration'
  readonly configuration: Configuration
}

/** One entry of the Raft log. Entries are immutable and may be kept by whoever receives them. */
export type Entry = CommandEntry | NoopEntry | BarrierEntry | ConfigurationEntry
