import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { TlsOptions } from '@nats-io/transport-node'

/** Paths of PEM files. */
export interface NatsTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** True: TLS before the server's INFO. */
  readonly handshakeFirst?: boolean
}

/**
 * The client library hands these options on to `tls.connect`. It gives no server name when it
 * connects to an IP address, and Node then compares the certificate with "localhost"; so a
 * certificate for an address is compared here, with the addresses that were configured.
 */
export function tlsOptions(tls: NatsTls, servers: readonly string[]): TlsOptions {
  const addresses = servers.map(hostOf).filter((host) => isIP(host) !== 0)
  const hosts = new Set(servers.map(hostOf))
  const options = {
    ...tls,
    checkServerIdentity: (host: string, certificate: PeerCertificate): Error | undefined => {
      const named = checkServerIdentity(host, certificate)
      if (named === undefined || hosts.has(host) || host !== 'localhost') return named
      const wrong = addresses.map((address) => checkServerIdentity(address, certificate))
      return wrong.includes(undefined) ? undefined : (wrong[0] ?? named)
    },
  }
  return options
}

/** Of `host:port`; an IPv6 address without its brackets. */
function hostOf(server: string): string {
  return server.slice(0, server.lastIndexOf(':')).replaceAll(/[[\]]/g, '')
}
