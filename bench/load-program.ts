/**
 * The side of a load process: it is started by `driver.ts`, told what to do in one message, says
 * when the measured part begins, and ends with its result.
 */
import type { AckPolicy } from '../e2e/raw-messages.ts'
import type { Percentiles } from './latencies.ts'

export type LoadTask =
  | {
      readonly kind: 'publish'
      readonly address: string
      readonly stream: string
      /** LEADER when absent. */
      readonly ackPolicy?: AckPolicy
      readonly valueBytes: number
      readonly window: number
      readonly connections: number
      readonly seconds: number
    }
  | {
      readonly kind: 'fill'
      readonly address: string
      readonly stream: string
      readonly valueBytes: number
      readonly messages: number
    }
  | {
      readonly kind: 'subscribe'
      readonly address: string
      readonly stream: string
      readonly messages: number
      readonly connections: number
      readonly seconds: number
    }
  | {
      readonly kind: 'unary' | 'tail'
      readonly address: string
      readonly stream: string
      readonly valueBytes: number
      readonly seconds: number
    }
  | {
      readonly kind: 'nats-round-trip'
      readonly url: string
      readonly valueBytes: number
      readonly seconds: number
    }
  | {
      readonly kind: 'jetstream-publish'
      readonly url: string
      readonly subject: string
      readonly valueBytes: number
      readonly window: number
      readonly connections: number
      readonly seconds: number
    }
  | {
      readonly kind: 'jetstream-consume'
      readonly url: string
      readonly stream: string
      readonly messages: number
      readonly connections: number
      readonly seconds: number
    }
  | {
      readonly kind: 'jetstream-fill'
      readonly url: string
      readonly subject: string
      readonly valueBytes: number
      readonly messages: number
    }

export type LoadResult = {
  readonly messages: number
  readonly seconds: number
  /** In milliseconds. */
  readonly latency: Percentiles
}

export type LoadReport =
  | { readonly kind: 'begin' }
  | { readonly kind: 'end'; readonly result: LoadResult }
  | { readonly kind: 'error'; readonly message: string }

/** Tells the driver that warming up is over. */
export function begin(): void {
  send({ kind: 'begin' })
}

export function send(report: LoadReport): void {
  process.send?.(report)
}

/** Warming up takes this share of the measured time, before it. */
export const WARM_UP_SHARE = 0.3
