import { create, internal } from '@liftbridge/wire'
import { parseStreamConfig, type ParsedStreamConfig, type StreamConfig } from './stream-config.ts'

const int32 = (value: number): internal.NullableInt32 =>
  create(internal.NullableInt32Schema, { value: Math.min(value, 2_147_483_647) })

const int64 = (value: number): internal.NullableInt64 =>
  create(internal.NullableInt64Schema, { value: BigInt(value) })

const flag = (value: boolean): internal.NullableBool =>
  create(internal.NullableBoolSchema, { value })

/** A wrapper for a value that is there; nothing otherwise. */
const wrapped = <Name extends string, Value, Wrapper>(
  name: Name,
  value: Value | undefined,
  wrap: (value: Value) => Wrapper,
): { [K in Name]?: Wrapper } => {
  const field: { [K in Name]?: Wrapper } = {}
  if (value !== undefined) field[name] = wrap(value)
  return field
}

/** A stream's overrides as `protocol.StreamConfig`. */
export const encodeConfig = (config: StreamConfig): internal.StreamConfig =>
  create(internal.StreamConfigSchema, {
    ...wrapped('retentionMaxBytes', config.retentionMaxBytes, int64),
    ...wrapped('retentionMaxMessages', config.retentionMaxMessages, int64),
    ...wrapped('retentionMaxAge', config.retentionMaxAgeMs, int64),
    ...wrapped('cleanerInterval', config.cleanerIntervalMs, int64),
    ...wrapped('segmentMaxBytes', config.segmentMaxBytes, int64),
    ...wrapped('segmentMaxAge', config.segmentMaxAgeMs, int64),
    ...wrapped('compactMaxGoroutines', config.compactMaxGoroutines, int32),
    ...wrapped('compactEnabled', config.compactEnabled, flag),
    ...wrapped('autoPauseTime', config.autoPauseTimeMs, int64),
    ...wrapped('autoPauseDisableIfSubscribers', config.autoPauseDisableIfSubscribers, flag),
    ...wrapped('minIsr', config.minIsr, int32),
    ...wrapped('optimisticConcurrencyControl', config.optimisticConcurrencyControl, flag),
    ...wrapped('encryption', config.encryption, flag),
  })

/** The reverse; an absent config (streams of Go Liftbridge) overrides nothing. */
export const decodeConfig = (config: internal.StreamConfig | undefined): ParsedStreamConfig =>
  parseStreamConfig(config ?? {})
