/**
 * What `fuzz/main.ts` runs: each `fuzz/<area>.targets.ts` exports `targets`, a list of these.
 */
export interface FuzzTarget {
  /** `<package>: <what is fed>`, unique. */
  readonly name: string
  /**
   * Feeds `bytes` to the code under test. Typed rejections are fine and swallowed here; whatever
   * is thrown, or rejected, is a bug. Keep it synchronous where the code allows it: a promise costs
   * more than most parsers. `bytes` is not reused, but the target must not change it.
   */
  readonly run: (bytes: Uint8Array) => void | Promise<void>
  /** Well-formed inputs from which mutation starts; at least one. */
  readonly seeds: readonly Uint8Array[]
  /** Tokens that mutation splices in: magic numbers, keywords, delimiters. */
  readonly dictionary?: readonly Uint8Array[]
  /** Longest input, in bytes; 4096 unless set. */
  readonly inputMaxBytes?: number
  /** Fraction of the executions that a slow target gets, 1 unless set; the run reports what it got. */
  readonly share?: number
}

/** The shape of a target module. */
export interface FuzzModule {
  readonly targets: readonly FuzzTarget[]
}
