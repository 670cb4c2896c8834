import type { ConnectionOptions } from '@nats-io/transport-node'
import type { NatsAddresses, NatsLogin } from './nats-address.ts'
import type { NatsBusOptions } from './nats-bus.ts'
import { tlsOptions } from './nats-tls.ts'

/** What the client library is told about a connection. */
export function connectionOptions(
  options: NatsBusOptions,
  addresses: NatsAddresses,
  login: NatsLogin,
): ConnectionOptions {
  const tls = options.tls ?? (addresses.tls ? {} : undefined)
  return {
    servers: [...addresses.servers],
    noRandomize: true,
    name: options.name,
    noEcho: !options.echo,
    timeout: options.connectTimeoutMs ?? 5000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: options.reconnectWaitMs ?? 250,
    reconnectJitter: 100,
    reconnectJitterTLS: 1000,
    // A wrong password may be put right on the NATS side; until then it stands in the status.
    ignoreAuthErrorAbort: true,
    // Three unanswered pings, a minute, end a connection that is dead without having been closed.
    pingInterval: 20_000,
    noAsyncTraces: true,
    ...(login.kind === 'password' ? { user: login.user, pass: login.password } : {}),
    ...(login.kind === 'token' ? { token: login.token } : {}),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls, addresses.servers) }),
  }
}
