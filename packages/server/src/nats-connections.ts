/** The NATS of a server: embedded or elsewhere, and the buses on it [LB control plane 1.1]. */
import type { NatsServer, NatsServerStats } from '@liftbridge/nats'
import { EmbeddedBus } from './adapters/embedded-bus.ts'
import { connectNatsBus, type NatsTls } from './adapters/nats-bus.ts'
import type { NatsLogin } from './adapters/nats-address.ts'
import { readPem } from './adapters/pem-file.ts'
import type { Bus, Buses, BusStatus } from './bus.ts'
import type { NatsConfig } from './config/config.ts'
import { embeddedNats } from './embedded-nats.ts'
import type { Logger } from './logging/logger.ts'
import { redactText } from './logging/redact.ts'

export type NatsConnections = {
  readonly buses: Buses
  /** URL of the embedded server; undefined when NATS runs elsewhere. */
  readonly embeddedUrl: string | undefined
  /** What the embedded server counts; undefined when NATS runs elsewhere. */
  embeddedStats(): NatsServerStats | undefined
  close(): Promise<void>
}

export type NatsOptions = {
  readonly config: NatsConfig
  /** `LIFT.<namespace>.<server id>`: connections are named after it. */
  readonly name: string
  readonly logger: Logger
  /** `logging.nats`. */
  readonly verbose: boolean
  /** Ends waiting for a NATS that is not there yet. */
  readonly signal: AbortSignal
}

/** Starts the embedded NATS, or connects; waits as long as it takes, and says so in the log. */
export function openNats(options: NatsOptions): Promise<NatsConnections> {
  const { embedded } = options.config
  return embedded ? openEmbedded(options, embedded) : connectElsewhere(options)
}

async function openEmbedded(
  options: NatsOptions,
  embedded: NonNullable<NatsConfig['embedded']>,
): Promise<NatsConnections> {
  const { logger, name } = options
  const server = embeddedNats({ embedded, logger, verbose: options.verbose })
  await server.listen()
  logger.info(`Starting embedded NATS server on ${new URL(server.url).host}`)
  const buses = embeddedBuses(server, name)
  return {
    buses,
    embeddedUrl: server.url,
    embeddedStats: () => server.stats,
    close: async () => {
      // Its clients hear of it first, so that they look for another server.
      const retired = server.retire()
      await closeAll(buses)
      await retired
      await server.close()
    },
  }
}

/** The connections of a server that shares a NATS in this process with others. */
export function connectWithin(server: NatsServer, name: string): NatsConnections {
  const buses = embeddedBuses(server, name)
  return {
    buses,
    embeddedUrl: server.url,
    embeddedStats: () => server.stats,
    close: () => closeAll(buses),
  }
}

function embeddedBuses(server: NatsServer, name: string): Buses {
  const connect = (suffix: string, echo: boolean): Bus =>
    new EmbeddedBus(server, { name: `${name}.${suffix}`, echo })
  return {
    streams: connect('streams', false),
    publishes: connect('publishes', true),
    raft: connect('raft', true),
    replication: connect('replication', true),
  }
}

async function closeAll(buses: Buses): Promise<void> {
  await Promise.all(Object.values(buses).map((bus) => bus.close()))
}

/**
 * What a gRPC client publishes is forwarded to NATS for whoever else listens; no ack waits for it.
 * With a millisecond to gather, a write carries hundreds of messages under load.
 */
const FORWARD_LINGER_MS = 1

async function connectElsewhere(options: NatsOptions): Promise<NatsConnections> {
  const { config, name, signal } = options
  const tls = tlsOf(config)
  const connect = (suffix: string, echo: boolean, lingerMs = 0): Promise<Bus> =>
    connectNatsBus({
      servers: config.servers,
      name: `${name}.${suffix}`,
      echo,
      lingerMs,
      login: loginOf(config),
      ...(tls ? { tls } : {}),
      onStatus: statusLog(options.logger, suffix, config.servers),
      signal,
    })
  const [streams, publishes, raft, replication] = await Promise.all([
    connect('streams', false, FORWARD_LINGER_MS),
    connect('publishes', true),
    connect('raft', true),
    connect('replication', true),
  ])
  const buses = { streams, publishes, raft, replication }
  return {
    buses,
    embeddedUrl: undefined,
    embeddedStats: () => undefined,
    close: () => closeAll(buses),
  }
}

function loginOf({ credentials }: NatsConfig): NatsLogin {
  if (credentials.kind !== 'user') return credentials
  return { kind: 'password', user: credentials.user, password: credentials.password }
}

/**
 * The client library reads the files at each connection, and would only say that it failed: they
 * are looked at here, once, so that a wrong path ends the start with the name of its setting.
 */
function tlsOf({ tls }: NatsConfig): NatsTls | undefined {
  if (!tls) return undefined
  if (tls.ca !== undefined) readPem('nats.tls.ca', tls.ca)
  if (tls.keyPair) {
    readPem('nats.tls.cert', tls.keyPair.cert)
    readPem('nats.tls.key', tls.keyPair.key)
  }
  return {
    ...(tls.ca === undefined ? {} : { caFile: tls.ca }),
    ...(tls.keyPair ? { certFile: tls.keyPair.cert, keyFile: tls.keyPair.key } : {}),
  }
}

function statusLog(
  logger: Logger,
  connection: string,
  servers: readonly string[],
): (status: BusStatus) => void {
  const at = servers.map(redactText).join(', ')
  let connected = false
  return (status) => {
    switch (status.kind) {
      case 'connected':
        connected = true
        logger.info('nats: connected', { connection, server: status.server })
        return
      case 'disconnected':
        // A loss is always told; the attempts that follow are told now and then.
        if (connected) logger.warn('nats: connection lost', { connection, reason: status.reason })
        connected = false
        logger.limited(
          'nats-disconnected',
          'warn',
          `nats: waiting for ${at} (nats.servers), calls are refused meanwhile`,
          {
            connection,
            reason: status.reason,
          },
        )
        return
      case 'error':
        logger.limited('nats-error', 'error', 'nats: error', { connection, reason: status.reason })
        return
      default:
        status satisfies never
    }
  }
}
