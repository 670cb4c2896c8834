/** What is measured: the same cases on each system. */

export type Case =
  | {
      readonly kind: 'publish'
      readonly window: number
      readonly valueBytes: number
      readonly connections: number
    }
  | { readonly kind: 'subscribe'; readonly valueBytes: number; readonly connections: number }
  /** One unary publish, or one NATS request, after the other. */
  | { readonly kind: 'sync'; readonly valueBytes: number }
  /** One message after the other from a publisher to a live subscriber. */
  | { readonly kind: 'tail'; readonly valueBytes: number }

const WINDOWS = [1, 100, 1_000, 20_000]
const SIZES = [128, 1_024]
const CONNECTIONS = [1, 4]

export function allCases(): Case[] {
  const cases: Case[] = []
  for (const valueBytes of SIZES) {
    cases.push({ kind: 'sync', valueBytes }, { kind: 'tail', valueBytes })
    for (const connections of CONNECTIONS) {
      for (const window of WINDOWS) {
        cases.push({ kind: 'publish', window, valueBytes, connections })
      }
      cases.push({ kind: 'subscribe', valueBytes, connections })
    }
  }
  return cases
}

/** One connection and 128 bytes: the cases that have targets. */
export function quickCases(): Case[] {
  return allCases().filter(
    (one) => one.valueBytes === 128 && (!('connections' in one) || one.connections === 1),
  )
}

/** For example `publish-20000-128-x1`. */
export function caseName(one: Case): string {
  switch (one.kind) {
    case 'publish':
      return `publish-${one.window}-${one.valueBytes}-x${one.connections}`
    case 'subscribe':
      return `subscribe-${one.valueBytes}-x${one.connections}`
    case 'sync':
    case 'tail':
      return `${one.kind}-${one.valueBytes}`
    default:
      return one satisfies never
  }
}
