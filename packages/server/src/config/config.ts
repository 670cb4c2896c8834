import type { Addresses, HostPort } from './addresses.ts'
import type { Values } from './schema/schema.ts'

/**
 * The configuration the server runs on: complete, exact, checked. Durations are milliseconds (and
 * may have fractions), sizes are bytes, 0 keeps the meaning its key documents.
 */
export interface Config {
  /** Where the API listens. Port 0: any free port. */
  readonly bind: HostPort
  /** What clients are told; port 0 stands for the bound port. See `advertisedAddress`. */
  readonly advertised: HostPort
  /** Absolute path. */
  readonly dataDir: string
  readonly metadataCacheMaxAgeMs: number
  readonly logging: LoggingConfig
  readonly batch: { readonly maxMessages: number; readonly maxTimeMs: number }
  readonly tls: TlsConfig
  readonly nats: NatsConfig
  readonly limits: LimitsConfig
  readonly streams: StreamsConfig
  readonly clustering: ClusteringConfig
  readonly activity: ActivityConfig
  readonly cursors: CursorsConfig
  readonly groups: { readonly consumerTimeoutMs: number; readonly coordinatorTimeoutMs: number }
  /**
   * The flat settings all of the above was made from, for reloading and describing. They hold
   * secrets in the clear: print them with `describeConfig` only [A6].
   */
  readonly settings: Values
}

interface LoggingConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'text' | 'json'
  readonly recovery: boolean
  readonly raft: boolean
  readonly nats: boolean
}

export interface TlsConfig {
  /** undefined: the API speaks cleartext. */
  readonly keyPair: KeyPair | undefined
  readonly clientAuth: { readonly enabled: boolean; readonly ca: string | undefined }
  /** undefined: every caller may do everything. */
  readonly clientAuthz: { readonly model: string; readonly policy: string } | undefined
}

/** Paths of PEM files. */
interface KeyPair {
  readonly key: string
  readonly cert: string
}

export interface NatsConfig {
  /** Not used when `embedded` is set. */
  readonly servers: readonly string[]
  readonly credentials: NatsCredentials
  /** undefined: TLS only if the server's URL or the NATS server asks for it. */
  readonly tls:
    | { readonly keyPair: KeyPair | undefined; readonly ca: string | undefined }
    | undefined
  /** undefined: NATS runs elsewhere. */
  readonly embedded:
    | {
        /** Undefined: as the file says, else the default of package `nats`. */
        readonly host: string | undefined
        readonly port: number | undefined
        readonly configFile: string | undefined
      }
    | undefined
}

type NatsCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'user'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }

interface LimitsConfig {
  readonly messageMaxBytes: number
  readonly connectionsMax: number
  readonly streamsPerConnection: number
}

export interface StreamsConfig {
  /** 0: no limit. */
  readonly retention: {
    readonly maxBytes: number
    readonly maxMessages: number
    readonly maxAgeMs: number
  }
  readonly cleanerIntervalMs: number
  /** `maxAgeMs` 0: a segment ends by its size only. */
  readonly segment: { readonly maxBytes: number; readonly maxAgeMs: number }
  readonly compact: { readonly enabled: boolean; readonly maxConcurrent: number }
  /** `timeMs` 0: never. */
  readonly autoPause: { readonly timeMs: number; readonly disableIfSubscribers: boolean }
  readonly concurrencyControl: boolean
  readonly encryption: boolean
  readonly sync: {
    readonly policy: 'always' | 'interval' | 'never'
    readonly intervalMs: number
    /** 0: by the interval only. */
    readonly messages: number
  }
}

interface ClusteringConfig {
  /** undefined: the stored identity, or a fresh one. */
  readonly serverId: string | undefined
  readonly namespace: string
  readonly raft: {
    readonly snapshotRetain: number
    readonly snapshotThreshold: number
    readonly cacheSize: number
    readonly bootstrapSeed: boolean
    readonly bootstrapPeers: readonly string[]
    /** 0: no limit. */
    readonly maxQuorumSize: number
  }
  readonly replica: {
    readonly maxLagTimeMs: number
    readonly maxLeaderTimeoutMs: number
    readonly maxIdleWaitMs: number
    readonly fetchTimeoutMs: number
  }
  readonly minInsyncReplicas: number
  readonly replicationMaxBytes: number
}

interface ActivityConfig {
  readonly enabled: boolean
  readonly publishTimeoutMs: number
  readonly publishAckPolicy: 'none' | 'leader' | 'all'
}

interface CursorsConfig {
  /** 0: cursors are off. */
  readonly partitions: number
  /** -1: every server. */
  readonly replicationFactor: number
  /** 0: never. */
  readonly autoPauseTimeMs: number
}

/** What stands for 0 in Liftbridge files. */
const SNAPSHOT_THRESHOLD_DEFAULT = 8192
const COMPACTIONS_DEFAULT = 10

/** A segment younger than this would be a file per handful of messages. */
export const SEGMENT_MAX_AGE_LEAST_MS = 1000

/** Gives checked values their place. Every rule between several keys has been checked before. */
export function toConfig(
  values: Values,
  addresses: Pick<Addresses, 'bind' | 'advertised'>,
  dataDir: string,
): Config {
  return {
    bind: addresses.bind,
    advertised: addresses.advertised,
    dataDir,
    metadataCacheMaxAgeMs: values['metadata.cache.max.age'],
    logging: {
      level: values['logging.level'],
      format: values['logging.format'],
      recovery: values['logging.recovery'],
      raft: values['logging.raft'],
      nats: values['logging.nats'],
    },
    batch: {
      maxMessages: values['batch.max.messages'],
      maxTimeMs: values['batch.max.time'],
    },
    tls: tlsOf(values),
    nats: natsOf(values),
    limits: {
      messageMaxBytes: values['limits.message.max.bytes'],
      connectionsMax: values['limits.connections.max'],
      streamsPerConnection: values['limits.streams.per.connection'],
    },
    streams: streamsOf(values),
    clustering: clusteringOf(values),
    activity: {
      enabled: values['activity.stream.enabled'],
      publishTimeoutMs: values['activity.stream.publish.timeout'],
      publishAckPolicy: values['activity.stream.publish.ack.policy'],
    },
    cursors: {
      partitions: values['cursors.stream.partitions'],
      replicationFactor: values['cursors.stream.replication.factor'],
      autoPauseTimeMs: values['cursors.stream.auto.pause.time'],
    },
    groups: {
      consumerTimeoutMs: values['groups.consumer.timeout'],
      coordinatorTimeoutMs: values['groups.coordinator.timeout'],
    },
    settings: values,
  }
}

function tlsOf(values: Values): TlsConfig {
  const model = values['tls.client.authz.model']
  const policy = values['tls.client.authz.policy']
  const authorizes =
    values['tls.client.authz.enabled'] && model !== undefined && policy !== undefined
  return {
    keyPair: keyPairOf(values['tls.key'], values['tls.cert']),
    clientAuth: {
      enabled: values['tls.client.auth.enabled'],
      ca: values['tls.client.auth.ca'],
    },
    clientAuthz: authorizes ? { model, policy } : undefined,
  }
}

function natsOf(values: Values): NatsConfig {
  const keyPair = keyPairOf(values['nats.tls.key'], values['nats.tls.cert'])
  const ca = values['nats.tls.ca']
  return {
    servers: values['nats.servers'],
    credentials: credentialsOf(values),
    tls: keyPair === undefined && ca === undefined ? undefined : { keyPair, ca },
    embedded: values['nats.embedded']
      ? {
          host: values['nats.embedded.host'],
          port: values['nats.embedded.port'],
          configFile: values['nats.embedded.config'],
        }
      : undefined,
  }
}

function keyPairOf(key: string | undefined, cert: string | undefined): KeyPair | undefined {
  return key === undefined || cert === undefined ? undefined : { key, cert }
}

function credentialsOf(values: Values): NatsCredentials {
  const token = values['nats.token']
  if (token !== undefined) return { kind: 'token', token }
  const user = values['nats.user']
  if (user === undefined) return { kind: 'none' }
  return { kind: 'user', user, password: values['nats.password'] ?? '' }
}

function streamsOf(values: Values): StreamsConfig {
  const retentionMaxAgeMs = values['streams.retention.max.age']
  return {
    retention: {
      maxBytes: values['streams.retention.max.bytes'],
      maxMessages: values['streams.retention.max.messages'],
      maxAgeMs: retentionMaxAgeMs,
    },
    cleanerIntervalMs: values['streams.cleaner.interval'],
    segment: {
      maxBytes: values['streams.segment.max.bytes'],
      maxAgeMs: segmentMaxAgeMs(values['streams.segment.max.age'] ?? retentionMaxAgeMs),
    },
    compact: {
      enabled: values['streams.compact.enabled'],
      maxConcurrent: values['streams.compact.max.goroutines'] || COMPACTIONS_DEFAULT,
    },
    autoPause: {
      timeMs: values['streams.auto.pause.time'],
      disableIfSubscribers: values['streams.auto.pause.disable.if.subscribers'],
    },
    concurrencyControl: values['streams.concurrency.control'],
    encryption: values['streams.encryption'],
    sync: {
      policy: values['streams.sync.policy'],
      intervalMs: values['streams.sync.interval'],
      messages: values['streams.sync.messages'],
    },
  }
}

function segmentMaxAgeMs(ms: number): number {
  return ms === 0 ? 0 : Math.max(ms, SEGMENT_MAX_AGE_LEAST_MS)
}

function clusteringOf(values: Values): ClusteringConfig {
  return {
    serverId: values['clustering.server.id'],
    namespace: values['clustering.namespace'],
    raft: {
      snapshotRetain: values['clustering.raft.snapshot.retain'],
      snapshotThreshold: values['clustering.raft.snapshot.threshold'] || SNAPSHOT_THRESHOLD_DEFAULT,
      cacheSize: values['clustering.raft.cache.size'],
      bootstrapSeed: values['clustering.raft.bootstrap.seed'],
      bootstrapPeers: values['clustering.raft.bootstrap.peers'],
      maxQuorumSize: values['clustering.raft.max.quorum.size'],
    },
    replica: {
      maxLagTimeMs: values['clustering.replica.max.lag.time'],
      maxLeaderTimeoutMs: values['clustering.replica.max.leader.timeout'],
      maxIdleWaitMs: values['clustering.replica.max.idle.wait'],
      fetchTimeoutMs: values['clustering.replica.fetch.timeout'],
    },
    minInsyncReplicas: values['clustering.min.insync.replicas'],
    replicationMaxBytes: values['clustering.replication.max.bytes'],
  }
}
