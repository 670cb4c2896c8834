/** A host and a port. Port 0 stands for "any free port" until the socket is bound. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export type ListenResult =
  | {
      readonly kind: 'ok'
      /** undefined when only a port was given. */
      readonly host: string | undefined
      readonly port: number
    }
  | { readonly kind: 'bad'; readonly reason: string }

/** What the three keys say, and which of them wins over which. */
export interface AddressKeys {
  readonly listen: { readonly host: string | undefined; readonly port: number } | undefined
  readonly host: string | undefined
  readonly port: number
  /** `port` was given anywhere. */
  readonly portGiven: boolean
  /** `port` was given in a stronger source than `listen` was: `--port` over a file's `listen`. */
  readonly portOverListen: boolean
}

export interface Addresses {
  readonly bind: HostPort
  /** What clients are told; port 0 stands for the port that was bound. */
  readonly advertised: HostPort
  readonly warnings: readonly string[]
}

/** Reads `host:port`, `[v6]:port`, `:port` or a bare port. Never throws. */
export function parseListen(text: string): ListenResult {
  if (/^\d+$/.test(text)) return withPort(undefined, text)
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]/]*)):([^:]*)$/.exec(text)
  if (match === null) {
    return {
      kind: 'bad',
      reason: `Could not parse address string "${text}": write host:port, [v6]:port, :port or a port`,
    }
  }
  const host = match[1] ?? match[2]
  return withPort(host === '' ? undefined : host, match[3] ?? '')
}

function withPort(host: string | undefined, text: string): ListenResult {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return { kind: 'ok', host, port }
  return { kind: 'bad', reason: `Could not parse port "${text}": write a number up to 65535` }
}

/**
 * Where to bind and what to advertise [LB control-plane 6.3].
 *
 * Bound host: that of `listen`, else `host`, else every interface. Advertised host: `host`, else
 * that of `listen`, else localhost; never a wildcard, which means nothing to a client
 * [LB clients 2.0-12]. The port is that of `listen`, else `port`; but a `port` from a stronger
 * source wins, and with `host` a `port` beside `listen` is the one to advertise, for servers
 * behind a port mapping. Go Liftbridge ignored a `listen` without a host, `--port` beside a file's
 * `listen`, and the port of `listen` when it advertised `host` [D-61].
 */
export function resolveAddresses(keys: AddressKeys): Addresses {
  const { listen, host, port } = keys
  const bindPort = listen === undefined || keys.portOverListen ? port : listen.port
  const bind = { host: listen?.host ?? host ?? '0.0.0.0', port: bindPort }
  const wanted = host ?? listen?.host ?? 'localhost'
  const mapped = host !== undefined && listen !== undefined && keys.portGiven
  const advertisedPort = mapped ? port : bindPort
  if (!isWildcard(wanted)) {
    return { bind, advertised: { host: wanted, port: advertisedPort }, warnings: [] }
  }
  const warning =
    `clients cannot connect to ${wanted}: localhost is advertised instead; ` +
    'set host to a name or an address that clients can reach'
  return { bind, advertised: { host: 'localhost', port: advertisedPort }, warnings: [warning] }
}

/** The address to tell clients, once the port is bound. */
export function advertisedAddress(advertised: HostPort, boundPort: number): HostPort {
  return { host: advertised.host, port: advertised.port === 0 ? boundPort : advertised.port }
}

/** `host:port`, with brackets around IPv6. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function isWildcard(host: string): boolean {
  return host === '*' || /^(?:0+(?:\.0+){0,3}|[0:]*::[0:]*|(?:0+:){7}0+)$/.test(host)
}
