/** Where something stands in a configuration file, and what is wrong with it or worth a word. */
export interface NatsConfigProblem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly text: string
}

export interface Place {
  readonly file: string
  readonly line: number
}

/** A value with the place where it was written; that of a variable is where it is used. */
export type ConfValue = Place &
  (
    | { readonly kind: 'text'; readonly value: string }
    | { readonly kind: 'number'; readonly value: number; readonly whole: boolean }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'list'; readonly value: readonly ConfValue[] }
    | { readonly kind: 'map'; readonly value: ConfMap }
  )

/** Keys as they were written; a key written twice has its last value. */
export type ConfMap = Map<string, ConfEntry>

export interface ConfEntry {
  readonly key: string
  readonly place: Place
  readonly value: ConfValue
  /** It was used as `$key`: then it need not be a setting. */
  usedAsVariable: boolean
}

/** The text cannot be read on from here. */
export class ConfSyntaxError extends Error {
  readonly place: Place
  constructor(place: Place, message: string) {
    super(message)
    this.place = place
  }
}
