import { DEFAULT_LAME_DUCK, type NatsLimits } from '../limits.ts'
import type { MonitorOptions } from '../monitoring/monitor.ts'
import type { NatsTls } from '../clients/tls.ts'
import type { NatsServerOptions } from '../server.ts'
import { readAuthorization } from './authorization.ts'
import { readConf, type ConfSources } from './conf-reader.ts'
import { ConfSyntaxError, type ConfMap, type NatsConfigProblem } from './conf-value.ts'
import { readTls } from './encryption.ts'
import { given, Section } from './section.ts'

export type NatsConfigResult =
  | {
      readonly kind: 'config'
      readonly options: NatsServerOptions
      /** Settings that are right for nats-server and have no effect here. */
      readonly ignored: readonly NatsConfigProblem[]
    }
  | { readonly kind: 'refused'; readonly problems: readonly NatsConfigProblem[] }

/**
 * Options of a server from a NATS configuration file. It reads nothing but through `sources`, and
 * never throws for what the text holds: mistakes come back with file and line, all at once.
 */
export function parseNatsConfig(text: string, sources: ConfSources): NatsConfigResult {
  const problems: NatsConfigProblem[] = []
  let map: ConfMap
  try {
    map = readConf(text, sources)
  } catch (error) {
    if (!(error instanceof ConfSyntaxError)) throw error
    return { kind: 'refused', problems: [{ ...error.place, text: error.message }] }
  }
  const top = new Section('', map, problems)
  refuseForeign(top)
  const ignored = takeIgnored(top)
  const options = readOptions(top, sources)
  top.finish([...FOREIGN.keys()])
  if (problems.length > 0) {
    return { kind: 'refused', problems: problems.sort((a, b) => a.line - b.line) }
  }
  return { kind: 'config', options, ignored }
}

/** `file:line: text`, a line each. */
export function formatNatsConfigProblems(problems: readonly NatsConfigProblem[]): string {
  return problems.map(({ file, line, text }) => `${file}:${line}: ${text}`).join('\n')
}

function readOptions(top: Section, sources: ConfSources): NatsServerOptions {
  const name = top.text('server_name')
  const address = readAddress(top)
  const { host, port } = readHostPort(top, 'client_advertise') ?? {}
  const advertise = host === undefined || port === undefined ? undefined : { host, port }
  const limits = readLimits(top)
  const auth = readAuthorization(top)
  const tls = readTls(top, sources.readFile)
  const monitor = readMonitor(top, { host: address.host, tls })
  const portsFileDir = top.text('ports_file_dir')
  const durationMs = top.durationMs('lame_duck_duration')
  const graceMs = top.durationMs('lame_duck_grace_period')
  const lameDuck = { ...DEFAULT_LAME_DUCK, ...given({ durationMs, graceMs }) }
  return {
    ...address,
    limits,
    ...given({
      name,
      advertise,
      auth,
      tls,
      monitor,
      portsFileDir,
      lameDuck: durationMs === undefined && graceMs === undefined ? undefined : lameDuck,
    }),
  }
}

/** Without a host the server stays on this machine, unlike nats-server: 0.0.0.0 is asked for. */
function readAddress(top: Section): { readonly host?: string; readonly port?: number } {
  const listen = readHostPort(top, 'listen')
  const host = top.text('host', 'net') ?? listen?.host
  const port = top.integer(ANY_PORT, 'port') ?? listen?.port
  return given({ host, port })
}

const ANY_PORT = { min: -1, max: 65_535 }

/** `host:port`, `[v6]:port`, `:port`, or a port alone. */
function readHostPort(
  top: Section,
  name: string,
): { readonly host?: string; readonly port: number } | undefined {
  const entry = top.entry(name)
  const text = top.text(name)
  if (entry === undefined || text === undefined) return undefined
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(-?\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  if (match !== null && port >= ANY_PORT.min && port <= ANY_PORT.max) {
    return host === '' ? { port } : { host, port }
  }
  return top.problem(entry.value, `${name} must be host:port`)
}

function readLimits(top: Section): Partial<NatsLimits> {
  const size = { min: 1, max: 2 ** 31 - 1 }
  const count = { min: -1, max: 2 ** 31 - 1 }
  // As in nats-server, 0 or -1 is no limit.
  const unbounded = (value: number | undefined): number | undefined =>
    value !== undefined && value <= 0 ? Number.POSITIVE_INFINITY : value
  const found = {
    maxPayloadBytes: top.integer({ min: 1, max: PAYLOAD_MAX }, 'max_payload'),
    maxControlLineBytes: top.integer({ min: 64, max: 2 ** 20 }, 'max_control_line'),
    maxPendingBytes: top.integer(size, 'max_pending'),
    maxConnections: unbounded(top.integer(count, 'max_connections', 'max_conn')),
    maxSubscriptions: unbounded(top.integer(count, 'max_subscriptions', 'max_subs')),
    maxSubscriptionTokens: top.integer(
      { min: 0, max: 2048 },
      'max_sub_tokens',
      'max_subscription_tokens',
    ),
    writeDeadlineMs: top.durationMs('write_deadline'),
    pingIntervalMs: top.durationMs('ping_interval'),
    pingMax: top.integer({ min: 1, max: 1000 }, 'ping_max', 'ping_max_out'),
  }
  const { maxPayloadBytes = 0, maxPendingBytes = maxPayloadBytes } = found
  const pending = top.entry('max_pending')
  if (pending !== undefined && maxPendingBytes < maxPayloadBytes) {
    top.problem(pending.place, 'max_pending must not be less than max_payload')
  }
  return given(found)
}

/** Above that a message should not go through NATS at all; nats-server has the same bound. */
const PAYLOAD_MAX = 64 * 1024 * 1024

function readMonitor(
  top: Section,
  { host, tls }: { readonly host: string | undefined; readonly tls: NatsTls | undefined },
): MonitorOptions | undefined {
  const basePath = top.text('http_base_path')
  const plain = readHostPort(top, 'http')
  const plainPort = top.integer(ANY_PORT, 'http_port', 'monitor_port') ?? plain?.port
  const secure = readHostPort(top, 'https')
  const securePort = top.integer(ANY_PORT, 'https_port') ?? secure?.port
  const place = top.entry('https', 'https_port')?.place
  if (place !== undefined && tls === undefined) {
    top.problem(place, 'https needs the block tls')
  }
  if (place !== undefined && plainPort !== undefined) {
    top.problem(place, 'monitoring is on http or on https, not on both')
  }
  const port = plainPort ?? securePort
  const on = plain?.host ?? secure?.host ?? host
  if (port === undefined || port === 0) return undefined
  return {
    port,
    ...given({
      host: on,
      basePath: basePath && `/${basePath}`.replace(/^\/+/, '/'),
      tls: place && tls,
    }),
  }
}

/** What only nats-server does: better not to start than to run without what was asked for. */
const FOREIGN: ReadonlyMap<string, string> = new Map(
  Object.entries({
    cluster: 'clusters',
    gateway: 'gateways',
    leafnodes: 'leaf nodes',
    leaf: 'leaf nodes',
    jetstream: 'JetStream',
    store_dir: 'JetStream',
    accounts: 'accounts',
    system_account: 'accounts',
    system: 'accounts',
    no_system_account: 'accounts',
    default_sentinel: 'accounts',
    operator: 'operators and JWTs',
    operators: 'operators and JWTs',
    roots: 'operators and JWTs',
    root: 'operators and JWTs',
    resolver: 'operators and JWTs',
    resolvers: 'operators and JWTs',
    resolver_preload: 'operators and JWTs',
    resolver_tls: 'operators and JWTs',
    account_resolver: 'operators and JWTs',
    trusted: 'operators and JWTs',
    trusted_keys: 'operators and JWTs',
    websocket: 'WebSocket',
    ws: 'WebSocket',
    mqtt: 'MQTT',
    mappings: 'subject mapping',
    maps: 'subject mapping',
    ocsp: 'OCSP',
    ocsp_cache: 'OCSP',
    server_tags: 'server tags',
    no_header_support: 'way to run without headers',
    default_js_domain: 'JetStream',
  }),
)

function refuseForeign(top: Section): void {
  for (const [name, what] of FOREIGN) {
    const entry = top.entry(name)
    if (entry === undefined || entry.usedAsVariable) continue
    // `jetstream: false` asks for what is the case.
    if (entry.value.kind === 'boolean' && !entry.value.value) continue
    top.problem(
      entry.place,
      `${name}: the embedded server has no ${what}; run nats-server and point nats.servers at it`,
    )
  }
}

/** Settings about logs and diagnosis of nats-server's own process. */
const WITHOUT_EFFECT = [
  'debug trace trace_verbose logtime logtime_utc log_file logfile log_size_limit logfile_size_limit',
  'log_max_num logfile_max_num syslog remote_syslog pid_file pidfile prof_port prof_block_rate',
  'max_traced_msg_len connect_error_reports reconnect_error_reports disable_sublist_cache',
].flatMap((names) => names.split(' '))

function takeIgnored(top: Section): readonly NatsConfigProblem[] {
  return WITHOUT_EFFECT.flatMap((name) => {
    const entry = top.entry(name)
    if (entry === undefined) return []
    return [{ ...entry.place, text: `${name} has no effect on the embedded server` }]
  })
}
