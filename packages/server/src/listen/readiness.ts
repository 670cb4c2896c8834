/** What `/healthz` and `/readyz` say. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

export type ReadinessCheck = {
  readonly name: string
  readonly ok: boolean
  /** What is missing, and where to look; empty when nothing is. */
  readonly detail: string
}

/**
 * Answers HTTP/1.1 on the one port. `/healthz`: the process runs and its event loop turns.
 * `/readyz`: 200 when clients can be served, else 503; the body explains each check.
 */
export function healthListener(checks: () => readonly ReadinessCheck[]): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    request.resume()
    const path = (request.url ?? '/').split('?', 1)[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, { error: 'only GET and HEAD are served here; gRPC needs HTTP/2' })
    } else if (path === '/healthz') {
      answer(response, 200, { status: 'ok' })
    } else if (path === '/readyz') {
      const results = checks()
      const ready = results.every(({ ok }) => ok)
      answer(response, ready ? 200 : 503, { ready, checks: results })
    } else {
      answer(response, 404, { error: `no such page: see /healthz and /readyz` })
    }
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  response.end(text)
}
