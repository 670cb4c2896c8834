import { rejected, type Rejection } from './rejection.ts'

/**
 * What a stream overrides of the server's settings. An absent field inherits; a present 0 really
 * is 0. Durations are milliseconds, as on the wire. Values are safe integers >= 0.
 */
export interface StreamConfig {
  readonly retentionMaxBytes?: number
  readonly retentionMaxMessages?: number
  readonly retentionMaxAgeMs?: number
  readonly cleanerIntervalMs?: number
  readonly segmentMaxBytes?: number
  readonly segmentMaxAgeMs?: number
  readonly compactMaxGoroutines?: number
  readonly compactEnabled?: boolean
  readonly autoPauseTimeMs?: number
  readonly autoPauseDisableIfSubscribers?: boolean
  readonly minIsr?: number
  readonly optimisticConcurrencyControl?: boolean
  readonly encryption?: boolean
}

/** Every setting of a partition, resolved. 0 means "no limit" for retention and "off" for auto-pause. */
export type EffectiveConfig = Required<StreamConfig>

/** The server's own settings, in the same units. */
export type StreamDefaults = EffectiveConfig

/** Used where a setting of 0 would have no meaning: what the log layer of Go Liftbridge falls back to. */
const FALLBACK_SEGMENT_MAX_BYTES = 1_073_741_824
const FALLBACK_CLEANER_INTERVAL_MS = 300_000

/** A segment's positions are signed 32-bit numbers in its index [LB data plane 7.G]. */
const LARGEST_SEGMENT_BYTES = 2_147_483_647

/** A Node timer and a Go duration both hold this: about 24.8 days, longer than any sane interval. */
const LARGEST_TIMER_MS = 2_147_483_647

/** Resolves a stream's overrides against the server's settings. */
export const effectiveConfig = (
  config: StreamConfig,
  defaults: StreamDefaults,
): EffectiveConfig => {
  const merged: EffectiveConfig = { ...defaults, ...config }
  const segmentMaxBytes = merged.segmentMaxBytes || FALLBACK_SEGMENT_MAX_BYTES
  const cleanerIntervalMs = merged.cleanerIntervalMs || FALLBACK_CLEANER_INTERVAL_MS
  return {
    ...merged,
    segmentMaxBytes: Math.min(segmentMaxBytes, LARGEST_SEGMENT_BYTES),
    cleanerIntervalMs: Math.min(cleanerIntervalMs, LARGEST_TIMER_MS),
    autoPauseTimeMs: Math.min(merged.autoPauseTimeMs, LARGEST_TIMER_MS),
    minIsr: Math.max(merged.minIsr, 1),
  }
}

/**
 * Writes into a new stream's config what all its replicas must agree on: min ISR, concurrency
 * control, encryption, and whether offsets may be missing because it is compacted. In Go Liftbridge each server resolves them from its own file, so that
 * a failover silently changes a stream's guarantees [D-63]. Retention, segments and cleaning stay
 * inherited: they are each server's disk, and an operator who edits them expects an effect.
 */
export const pinAgreedSettings = (
  config: StreamConfig,
  defaults: StreamDefaults,
): StreamConfig => ({
  ...config,
  minIsr: config.minIsr ?? defaults.minIsr,
  optimisticConcurrencyControl:
    config.optimisticConcurrencyControl ?? defaults.optimisticConcurrencyControl,
  encryption: config.encryption ?? defaults.encryption,
  compactEnabled: config.compactEnabled ?? defaults.compactEnabled,
})

interface Nullable<Value> {
  readonly value: Value
}

/** The override fields as CreateStreamRequest and StreamConfig carry them on the wire. */
export interface WireStreamConfig {
  readonly retentionMaxBytes?: Nullable<bigint> | undefined
  readonly retentionMaxMessages?: Nullable<bigint> | undefined
  readonly retentionMaxAge?: Nullable<bigint> | undefined
  readonly cleanerInterval?: Nullable<bigint> | undefined
  readonly segmentMaxBytes?: Nullable<bigint> | undefined
  readonly segmentMaxAge?: Nullable<bigint> | undefined
  readonly compactMaxGoroutines?: Nullable<number> | undefined
  readonly compactEnabled?: Nullable<boolean> | undefined
  readonly autoPauseTime?: Nullable<bigint> | undefined
  readonly autoPauseDisableIfSubscribers?: Nullable<boolean> | undefined
  readonly minIsr?: Nullable<number> | undefined
  readonly optimisticConcurrencyControl?: Nullable<boolean> | undefined
  readonly encryption?: Nullable<boolean> | undefined
}

export type ParsedStreamConfig = { readonly kind: 'ok'; readonly config: StreamConfig } | Rejection

/**
 * Reads overrides from the wire. A negative number is refused: in Go Liftbridge a negative
 * cleaner interval panics and a negative segment size spins for ever [LB data plane 7.F3]. A
 * number beyond 2^53 - 1 is as good as unlimited and becomes that.
 */
export const parseStreamConfig = (wire: WireStreamConfig): ParsedStreamConfig => {
  const numbers = {
    retentionMaxBytes: wire.retentionMaxBytes,
    retentionMaxMessages: wire.retentionMaxMessages,
    retentionMaxAgeMs: wire.retentionMaxAge,
    cleanerIntervalMs: wire.cleanerInterval,
    segmentMaxBytes: wire.segmentMaxBytes,
    segmentMaxAgeMs: wire.segmentMaxAge,
    compactMaxGoroutines: wire.compactMaxGoroutines,
    autoPauseTimeMs: wire.autoPauseTime,
    minIsr: wire.minIsr,
  }
  const config: Record<string, number | boolean> = {}
  for (const [name, wrapper] of Object.entries(numbers)) {
    if (wrapper === undefined) continue
    if (wrapper.value < 0) {
      return rejected('INVALID_ARGUMENT', `Invalid ${wireNameOf(name)} ${wrapper.value}`)
    }
    config[name] =
      wrapper.value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(wrapper.value)
  }
  const flags = {
    compactEnabled: wire.compactEnabled,
    autoPauseDisableIfSubscribers: wire.autoPauseDisableIfSubscribers,
    optimisticConcurrencyControl: wire.optimisticConcurrencyControl,
    encryption: wire.encryption,
  }
  for (const [name, wrapper] of Object.entries(flags)) {
    if (wrapper !== undefined) config[name] = wrapper.value
  }
  return { kind: 'ok', config }
}

const wireNameOf = (name: string): string => name.replace(/Ms$/, '')
