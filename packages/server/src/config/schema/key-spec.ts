/**
 * The shape of one row of the configuration table. Parsing, validation, environment names, flags,
 * `docs/configuration.md` and the reloadable set are all read from these rows; nothing else in the
 * server knows a key's default or range.
 */
type KeyType =
  | 'text'
  | 'path'
  | 'boolean'
  | 'integer'
  | 'size'
  | 'duration'
  | 'list'
  | 'choice'
  | 'token'
  | 'host'

export interface FlagSpec {
  /** Long names with their dashes; the first is the one shown in the help. */
  readonly names: readonly string[]
  /** One dash and one letter. */
  readonly short?: string
  /** What the help calls the value; absent for a switch. */
  readonly value?: string
}

export interface KeySpec {
  readonly type: KeyType
  /** As one would write it in a file. Absent: the setting may be left unset. */
  readonly default?: string
  /** One or two sentences for the reference. */
  readonly doc: string
  /** What an unset value means, for keys without a default. */
  readonly unset?: string
  /** Inclusive bounds: ms for a duration, bytes for a size, the number itself for an integer. */
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  /** Names of the same setting in earlier Liftbridge files, with their section. */
  readonly older?: readonly string[]
  readonly flag?: FlagSpec
  /**
   * The setting has no effect in this version, though files may hold it. `documented` says so in
   * the reference; `warns` at start as well, where somebody would miss the effect; `refuses` to
   * start, where going on without it would be unsafe.
   */
  readonly notYet?: 'documented' | 'warns' | 'refuses'
  /** Why the setting has nothing to act on in this server; said at start to who gives it. */
  readonly noEffect?: string
  /** Takes effect on SIGHUP without a restart. */
  readonly reload?: true
  /** Never printed [A6]. */
  readonly secret?: true
  /** The value is a URL, or several, whose user part is never printed [A6]. */
  readonly url?: true
}

type Parsed<S extends KeySpec> = S extends { type: 'boolean' }
  ? boolean
  : S extends { type: 'integer' | 'size' | 'duration' }
    ? number
    : S extends { type: 'list' }
      ? readonly string[]
      : S extends { type: 'choice'; choices: readonly (infer C)[] }
        ? C
        : string

/** What the parser makes of a value: ms for durations, bytes for sizes. */
export type ValueOf<S extends KeySpec> = S extends { default: string }
  ? Parsed<S>
  : Parsed<S> | undefined
