/** What `bench/nats.ts` measures on each server. */
export type NatsCase =
  | {
      readonly kind: 'publish'
      readonly bytes: number
      readonly subscribers: number
      readonly queue: boolean
      readonly seconds: number
    }
  | {
      readonly kind: 'request'
      readonly bytes: number
      readonly inFlight: number
      readonly seconds: number
    }
  | { readonly kind: 'stuck'; readonly bytes: number; readonly seconds: number }
  | { readonly kind: 'idle'; readonly connections: number }

export type NatsLoadReport =
  | { readonly kind: 'begin' }
  /** Messages delivered, requests answered, or connections opened. */
  | { readonly kind: 'result'; readonly messages: number; readonly seconds: number }
  | { readonly kind: 'error'; readonly message: string }

export function natsCaseName(one: NatsCase): string {
  switch (one.kind) {
    case 'publish': {
      const to = one.queue ? `queue of ${one.subscribers}` : `1→${one.subscribers}`
      return `publish ${to}, ${one.bytes} B`
    }
    case 'request':
      return `request, ${one.inFlight} in flight, ${one.bytes} B`
    case 'stuck':
      return `stuck subscriber, ${one.bytes} B`
    case 'idle':
      return `${one.connections} idle connections`
    default:
      return one satisfies never
  }
}

export function natsCases({ quick, seconds }: { quick: boolean; seconds: number }): NatsCase[] {
  const sizes = quick ? [128] : [16, 128, 1024]
  const publish = (subscribers: number, queue: boolean): NatsCase[] =>
    sizes.map((bytes) => ({ kind: 'publish', bytes, subscribers, queue, seconds }))
  const requests = (inFlight: number): NatsCase[] =>
    sizes.map((bytes) => ({ kind: 'request', bytes, inFlight, seconds }))
  return [
    ...publish(1, false),
    ...publish(4, false),
    ...publish(4, true),
    ...requests(1),
    ...requests(100),
    { kind: 'stuck', bytes: 1024, seconds: 2 * seconds },
    { kind: 'idle', connections: 10_000 },
  ]
}
