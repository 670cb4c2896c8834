/** What `/healthz`, `/readyz` and `/metrics` say, over HTTP/1.1 and over HTTP/2. */
import type { RequestListener } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'

export type ReadinessCheck = {
  readonly name: string
  readonly ok: boolean
  /** What is missing, and where to look; empty when nothing is. */
  readonly detail: string
}

/** A check holds for so long: whoever asks more often costs no more than an answer from memory. */
const CHECK_EVERY_MS = 100

export type PagesOptions = {
  readonly checks: () => readonly ReadinessCheck[]
  /** Why only a restart can help this server; undefined while it can go on. */
  readonly failure?: () => string | undefined
  /** `/metrics`; without it there is no such page. */
  readonly metrics?: { readonly contentType: string; read(): Promise<string> }
  /** Milliseconds of a clock that does not jump. */
  readonly nowMs?: () => number
}

/**
 * `/healthz`: 200 when the process runs and its event loop turns; 503 when only a restart can help,
 * which an application that the server runs in has to do. `/readyz`: 200 when clients can be
 * served, else 503; the body explains each check. `/metrics`: text for Prometheus.
 */
export class HealthPages {
  readonly #options: PagesOptions
  #checked: { readonly page: Page; readonly atMs: number } | undefined

  constructor(options: PagesOptions) {
    this.#options = options
  }

  readonly onHttp1: RequestListener = (request, response) => {
    request.resume()
    const method = request.method ?? ''
    this.#answer(method, request.url ?? '/', (answer) => {
      response.writeHead(answer.status, headersOf(answer))
      response.end(method === 'HEAD' ? undefined : answer.body)
    })
  }

  /** For HTTP/2 requests that are no gRPC: probes and curl get HTTP/2 where TLS offers it. */
  readonly onHttp2 = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    stream.resume()
    const method = String(headers[':method'])
    this.#answer(method, String(headers[':path']), (answer) => {
      if (stream.destroyed) return
      stream.respond({ ':status': answer.status, ...headersOf(answer) })
      stream.end(method === 'HEAD' ? undefined : answer.body)
    })
  }

  /** At once, but for `/metrics`. */
  #answer(method: string, url: string, reply: (answer: Page) => void): void {
    const path = url.split('?', 1)[0]
    const { metrics } = this.#options
    if (method !== 'GET' && method !== 'HEAD') {
      reply(page(405, { error: 'only GET and HEAD are served here, and gRPC over HTTP/2' }))
    } else if (path === '/healthz') reply(this.#health())
    else if (path === '/readyz') reply(this.#readiness())
    else if (path === '/metrics' && metrics !== undefined) {
      metrics.read().then(
        (body) => reply({ status: 200, body, type: metrics.contentType }),
        (error: unknown) => reply(page(500, { error: String(error) })),
      )
    } else {
      reply(page(404, { error: 'no such page: see /healthz, /readyz and /metrics' }))
    }
  }

  #health(): Page {
    const reason = this.#options.failure?.()
    return reason === undefined
      ? page(200, { status: 'ok' })
      : page(503, { status: 'failed', reason })
  }

  #readiness(): Page {
    const nowMs = this.#options.nowMs?.() ?? performance.now()
    const known = this.#checked
    if (known !== undefined && nowMs - known.atMs < CHECK_EVERY_MS) return known.page
    const checks = this.#options.checks()
    const ready = checks.every(({ ok }) => ok)
    const fresh = page(ready ? 200 : 503, { ready, checks })
    this.#checked = { page: fresh, atMs: nowMs }
    return fresh
  }
}

type Page = { readonly status: number; readonly body: string; readonly type: string }

function page(status: number, body: unknown): Page {
  return { status, body: `${JSON.stringify(body)}\n`, type: 'application/json' }
}

function headersOf({ body, type }: Page): Record<string, string | number> {
  return {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
}
