import { clusterKeys } from './cluster-keys.ts'
import type { KeySpec, ValueOf } from './key-spec.ts'
import { serverKeys } from './server-keys.ts'
import { streamKeys } from './stream-keys.ts'

/** The whole table: every key of the configuration, by its canonical name. */
type Schema = typeof serverKeys & typeof streamKeys & typeof clusterKeys
export type Key = keyof Schema
/** A parsed value for every key; those without a default may be undefined. */
export type Values = { readonly [K in Key]: ValueOf<Schema[K]> }

const table: Schema = { ...serverKeys, ...streamKeys, ...clusterKeys }

export const specs: ReadonlyMap<Key, KeySpec> = new Map(
  Object.entries<KeySpec>(table) as [Key, KeySpec][],
)

const olderNames: ReadonlyMap<string, Key> = new Map(
  [...specs].flatMap(([key, spec]) => (spec.older ?? []).map((name) => [name, key] as const)),
)

/** Keys and older names, each with the key that it stands for. */
const allNames: readonly (readonly [name: string, key: Key])[] = [
  ...[...specs.keys()].map((key) => [key, key] as const),
  ...olderNames,
]

/** Every proper prefix of a key: `streams`, `streams.retention`, … */
const sections: ReadonlySet<string> = new Set(
  [...specs.keys(), ...olderNames.keys()].flatMap((key) => {
    const parts = key.split('.')
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'))
  }),
)

export type Lookup =
  | { readonly kind: 'key'; readonly key: Key }
  | { readonly kind: 'older'; readonly key: Key }
  | { readonly kind: 'section' }
  | { readonly kind: 'unknown' }

/** What a name in a file stands for. Case does not matter. */
export function lookUp(name: string): Lookup {
  const lower = name.toLowerCase()
  if (isKey(lower)) return { kind: 'key', key: lower }
  const key = olderNames.get(lower)
  if (key !== undefined) return { kind: 'older', key }
  return { kind: sections.has(lower) ? 'section' : 'unknown' }
}

export function isKey(name: string): name is Key {
  return (specs as ReadonlyMap<string, KeySpec>).has(name)
}

export function specOf(key: Key): KeySpec {
  return table[key]
}

/** The documented name of the environment variable: `LIFTBRIDGE_LOGGING_LEVEL`. */
export function environmentName(key: string): string {
  return `LIFTBRIDGE_${key.toUpperCase().replaceAll('.', '_')}`
}

/**
 * The canonical keys closest to a misspelt name, best first; empty when none is near. A slip in an
 * older name leads to the key of today, too.
 */
export function nearestKeys(name: string): readonly Key[] {
  const lower = name.toLowerCase().slice(0, 100)
  const limit = Math.max(2, Math.floor(lower.length / 4))
  const near: { key: Key; distance: number }[] = []
  for (const [known, key] of allNames) {
    const lastPart = known.endsWith(`.${lower}`)
    // The difference in length is a lower bound of the distance, and cheap.
    if (!lastPart && Math.abs(known.length - lower.length) > limit) continue
    const distance = lastPart ? 1 : editDistance(lower, known)
    if (distance <= limit) near.push({ key, distance })
  }
  near.sort((a, b) => a.distance - b.distance)
  return [...new Set(near.map((entry) => entry.key))].slice(0, 3)
}

/** Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substituted, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
