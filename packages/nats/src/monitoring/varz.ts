import { availableParallelism } from 'node:os'
import type { MonitorOptions } from './monitor.ts'
import { span, type MonitorSource } from './page.ts'

/** What the server is and has done. Durations are nanoseconds, those of timeouts seconds. */
export class Varz {
  readonly #source: MonitorSource
  readonly #requests: ReadonlyMap<string, number>
  readonly #startedAtMs = Date.now()
  #lastCpu: NodeJS.CpuUsage = process.cpuUsage()
  #lastAtMs: number = performance.now()

  constructor(source: MonitorSource, requests: ReadonlyMap<string, number>) {
    this.#source = source
    this.#requests = requests
  }

  page(monitor: MonitorOptions): object {
    const { info, stats, limits, settings } = this.#source
    const { server_id, server_name, version, proto, host, port, ...more } = info()
    const counts = stats()
    const nowMs = Date.now()
    const start = new Date(this.#startedAtMs).toISOString()
    const { host: httpHost = '127.0.0.1', port: httpPort, basePath = '', tls } = monitor
    return {
      server_id,
      server_name,
      version,
      proto,
      host,
      port,
      auth_required: more.auth_required ?? false,
      tls_required: more.tls_required ?? false,
      tls_verify: more.tls_verify ?? false,
      max_connections: orNone(limits.maxConnections),
      max_subscriptions: orNone(limits.maxSubscriptions),
      ping_interval: limits.pingIntervalMs * NS_PER_MS,
      ping_max: limits.pingMax,
      http_host: httpHost,
      http_port: tls === undefined ? httpPort : 0,
      http_base_path: basePath,
      https_port: tls === undefined ? 0 : httpPort,
      auth_timeout: settings.authTimeoutMs / 1000,
      max_control_line: limits.maxControlLineBytes,
      max_payload: limits.maxPayloadBytes,
      max_pending: limits.maxPendingBytes,
      tls_timeout: (settings.tls?.timeoutMs ?? 2000) / 1000,
      write_deadline: limits.writeDeadlineMs * NS_PER_MS,
      // Tools look for these, also where there are none.
      cluster: {},
      gateway: {},
      leaf: {},
      mqtt: {},
      websocket: {},
      jetstream: {},
      start,
      now: new Date(nowMs).toISOString(),
      uptime: span(nowMs - this.#startedAtMs),
      mem: process.memoryUsage.rss(),
      cores: availableParallelism(),
      cpu: this.#cpuPercent(),
      connections: counts.connections,
      total_connections: counts.totalConnections,
      routes: 0,
      remotes: 0,
      leafnodes: 0,
      in_msgs: counts.inMessages,
      out_msgs: counts.outMessages,
      in_bytes: counts.inBytes,
      out_bytes: counts.outBytes,
      slow_consumers: counts.slowConsumers,
      subscriptions: counts.subscriptions,
      http_req_stats: Object.fromEntries(this.#requests),
      config_load_time: start,
    }
  }

  /** Of one core, since the last question. */
  #cpuPercent(): number {
    const nowMs = performance.now()
    const { user, system } = process.cpuUsage(this.#lastCpu)
    const elapsedMs = Math.max(1, nowMs - this.#lastAtMs)
    this.#lastCpu = process.cpuUsage()
    this.#lastAtMs = nowMs
    return Math.round((user + system) / 10 / elapsedMs)
  }
}

/** JSON has no infinity; nats-server writes -1 for no limit. */
function orNone(limit: number): number {
  return Number.isFinite(limit) ? limit : -1
}

const NS_PER_MS = 1_000_000
