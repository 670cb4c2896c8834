import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { NatsTls } from '../clients/tls.ts'
import { boundPort, boundUrl, listenAt } from '../listening.ts'
import { connz } from './connz.ts'
import { BadQuery, type MonitorSource, type Page } from './page.ts'
import { subsz } from './subsz.ts'
import { Varz } from './varz.ts'

/** Where tools read what the server does. Whoever reaches the port may read everything there. */
export interface MonitorOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string
  /** 0 or -1 takes any free port. */
  readonly port: number
  /** Path in front of every page, for example `/nats`. */
  readonly basePath?: string
  /** Pages over HTTPS. */
  readonly tls?: Pick<NatsTls, 'cert' | 'key'>
}

export type MonitorEvent = {
  readonly kind: 'monitor-listening'
  readonly host: string
  readonly port: number
}

/** `/varz`, `/connz`, `/subsz` and `/healthz`, with the fields that tools for nats-server read. */
export class Monitor {
  readonly #options: MonitorOptions
  readonly #source: MonitorSource
  readonly #server: Server
  readonly #pages: ReadonlyMap<string, Page>
  readonly #requests = new Map<string, number>()

  constructor(options: MonitorOptions, source: MonitorSource) {
    this.#options = options
    this.#source = source
    const varz = new Varz(source, this.#requests)
    this.#pages = new Map<string, Page>([
      ['/varz', () => varz.page({ ...options, port: boundPort(this.#server) })],
      ['/connz', (query) => connz(source, query)],
      ['/subsz', (query) => subsz(source, query)],
      ['/subscriptionsz', (query) => subsz(source, query)],
      ['/healthz', () => ({ status: 'ok' })],
    ])
    const answer: RequestListener = (request, response) => {
      const { status, type, text } = this.#answer(request)
      response.writeHead(status, {
        'content-type': type,
        'content-length': Buffer.byteLength(text),
      })
      response.end(request.method === 'HEAD' ? undefined : text)
    }
    this.#server =
      options.tls === undefined ? createServer(answer) : createSecureServer(options.tls, answer)
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.headersTimeout = HEADERS_TIMEOUT_MS
  }

  async listen(): Promise<void> {
    const { host = DEFAULT_HOST, port } = this.#options
    const portSetting = this.#options.tls === undefined ? 'http_port' : 'https_port'
    await listenAt(this.#server, { host, port, portSetting, clients: 'monitoring' })
    // Accepting can fail later (no descriptors left); whoever asks then asks again.
    this.#server.on('error', () => undefined)
    this.#source.onEvent({ kind: 'monitor-listening', host, port: boundPort(this.#server) })
  }

  /** '' while not listening. */
  get url(): string {
    return boundUrl(this.#options.tls === undefined ? 'http' : 'https', this.#server)
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #answer({ method = '', url = '/' }: IncomingMessage): Answer {
    if (method !== 'GET' && method !== 'HEAD') return failed(405, 'only GET')
    const base = this.#options.basePath ?? ''
    const { pathname, searchParams } = new URL(url, 'http://monitor')
    if (!pathname.startsWith(base)) return failed(404, 'page not found')
    const path = pathname.slice(base.length)
    if (path === '' || path === '/') return { status: 200, type: HTML, text: index(this.#pages) }
    const page = this.#pages.get(path)
    if (page === undefined) return failed(404, 'page not found')
    this.#requests.set(path, (this.#requests.get(path) ?? 0) + 1)
    try {
      const text = JSON.stringify(page(searchParams), undefined, 2)
      return { status: 200, type: 'application/json', text }
    } catch (error) {
      if (error instanceof BadQuery) return failed(400, error.message)
      throw error
    }
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

const DEFAULT_HOST = '127.0.0.1'
const HTML = 'text/html; charset=utf-8'
/** A few tools; each request is answered at once. */
const CONNECTIONS_MAX = 64
const HEADERS_TIMEOUT_MS = 5000

function failed(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', text: `${text}\n` }
}

function index(pages: ReadonlyMap<string, Page>): string {
  const links = [...pages.keys()].map((path) => `<li><a href=".${path}">${path.slice(1)}</a></li>`)
  return `<!doctype html><title>NATS</title><ul>${links.join('')}</ul>\n`
}
