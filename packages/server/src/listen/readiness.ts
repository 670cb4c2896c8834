/** What `/healthz` and `/readyz` say, over HTTP/1.1 and over HTTP/2. */
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

/**
 * `/healthz`: the process runs and its event loop turns. `/readyz`: 200 when clients can be
 * served, else 503; the body explains each check.
 */
export class HealthPages {
  readonly #checks: () => readonly ReadinessCheck[]
  readonly #nowMs: () => number
  #checked: { readonly page: Page; readonly atMs: number } | undefined

  constructor(checks: () => readonly ReadinessCheck[], nowMs = (): number => performance.now()) {
    this.#checks = checks
    this.#nowMs = nowMs
  }

  readonly onHttp1: RequestListener = (request, response) => {
    request.resume()
    const { status, body } = this.#answer(request.method ?? '', request.url ?? '/')
    response.writeHead(status, headersOf(body))
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** For HTTP/2 requests that are no gRPC: probes and curl get HTTP/2 where TLS offers it. */
  readonly onHttp2 = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    stream.resume()
    const method = String(headers[':method'])
    const { status, body } = this.#answer(method, String(headers[':path']))
    stream.respond({ ':status': status, ...headersOf(body) })
    stream.end(method === 'HEAD' ? undefined : body)
  }

  #answer(method: string, url: string): Page {
    const path = url.split('?', 1)[0]
    if (method !== 'GET' && method !== 'HEAD') {
      return page(405, { error: 'only GET and HEAD are served here, and gRPC over HTTP/2' })
    }
    if (path === '/healthz') return page(200, { status: 'ok' })
    if (path !== '/readyz') return page(404, { error: 'no such page: see /healthz and /readyz' })
    return this.#readiness()
  }

  #readiness(): Page {
    const nowMs = this.#nowMs()
    const known = this.#checked
    if (known !== undefined && nowMs - known.atMs < CHECK_EVERY_MS) return known.page
    const checks = this.#checks()
    const ready = checks.every(({ ok }) => ok)
    const fresh = page(ready ? 200 : 503, { ready, checks })
    this.#checked = { page: fresh, atMs: nowMs }
    return fresh
  }
}

type Page = { readonly status: number; readonly body: string }

function page(status: number, body: unknown): Page {
  return { status, body: `${JSON.stringify(body)}\n` }
}

function headersOf(body: string): Record<string, string | number> {
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
}
