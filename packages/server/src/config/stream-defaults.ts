import type { StreamDefaults } from '@liftbridge/metadata'
import type { Config } from './config.ts'

/** What a stream inherits where its creator set nothing. */
export function streamDefaults(config: Config): StreamDefaults {
  const { streams, clustering } = config
  return {
    retentionMaxBytes: streams.retention.maxBytes,
    retentionMaxMessages: streams.retention.maxMessages,
    retentionMaxAgeMs: streams.retention.maxAgeMs,
    cleanerIntervalMs: streams.cleanerIntervalMs,
    segmentMaxBytes: streams.segment.maxBytes,
    segmentMaxAgeMs: streams.segment.maxAgeMs,
    compactMaxGoroutines: streams.compact.maxConcurrent,
    compactEnabled: streams.compact.enabled,
    autoPauseTimeMs: streams.autoPause.timeMs,
    autoPauseDisableIfSubscribers: streams.autoPause.disableIfSubscribers,
    minIsr: clustering.minInsyncReplicas,
    optimisticConcurrencyControl: streams.concurrencyControl,
    encryption: streams.encryption,
  }
}
