import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'

/** TLS for clients. Certificates and keys are PEM texts, not file names. */
export interface NatsTls {
  readonly cert: string
  readonly key: string
  /** Authorities that certificates of clients must come from; without it those of Node. */
  readonly ca?: string
  /** Clients must show a certificate. */
  readonly verify?: boolean
  /** … and it says which user they are: an e-mail, DNS or URI name in it, or its subject. */
  readonly verifyAndMap?: boolean
  /** A client that has not finished the handshake by then is cut. 2 s. */
  readonly timeoutMs?: number
  /** The handshake comes before INFO; clients must be told (`tlsFirst`). */
  readonly handshakeFirst?: boolean
  /** Clients may stay without TLS. */
  readonly allowNonTls?: boolean
}

export type Handshake =
  | { readonly kind: 'secured'; readonly socket: TLSSocket }
  | { readonly kind: 'plain'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * Turns accepted sockets into secured ones. The TLS server inside listens nowhere: sockets are
 * handed to it after INFO was written. Client and secured socket are told to belong together by
 * the client's address and port.
 */
export class TlsHandshakes {
  readonly #tls: NatsTls
  readonly #server: Server
  readonly #pending = new Map<string, (outcome: Handshake) => void>()

  /** Throws what Node says about a certificate or key it cannot use. */
  constructor(tls: NatsTls) {
    this.#tls = tls
    const demanded = tls.verify === true || tls.verifyAndMap === true
    this.#server = createServer({
      cert: tls.cert,
      key: tls.key,
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      requestCert: demanded,
      rejectUnauthorized: demanded,
      handshakeTimeout: this.timeoutMs,
      minVersion: 'TLSv1.2',
    })
    this.#server.on('secureConnection', (socket) => {
      this.#pending.get(addressOf(socket))?.({ kind: 'secured', socket })
    })
    this.#server.on('tlsClientError', (error, socket) => {
      this.#pending.get(addressOf(socket))?.({ kind: 'failed', reason: error.message })
      socket.destroy()
    })
  }

  get timeoutMs(): number {
    return this.#tls.timeoutMs ?? DEFAULT_TIMEOUT_MS
  }

  /** Calls back once. After 'failed' the socket is gone. */
  begin(socket: Socket, done: (outcome: Handshake) => void): void {
    if (this.#tls.allowNonTls === true) this.#peek(socket, done)
    else this.#secure(socket, done)
  }

  #secure(socket: Socket, done: (outcome: Handshake) => void): void {
    if (socket.destroyed) return done({ kind: 'failed', reason: 'client closed' })
    const address = addressOf(socket)
    const finish = (outcome: Handshake): void => {
      if (this.#pending.get(address) !== finish) return
      this.#pending.delete(address)
      if (outcome.kind === 'failed') socket.destroy()
      done(outcome)
    }
    this.#pending.set(address, finish)
    socket.once('close', () => finish({ kind: 'failed', reason: 'hung up in the TLS handshake' }))
    this.#server.emit('connection', socket)
  }

  /** The first byte says whether the client wants TLS. */
  #peek(socket: Socket, done: (outcome: Handshake) => void): void {
    const failed = (reason: string): void => {
      settle()
      socket.destroy()
      done({ kind: 'failed', reason })
    }
    const look = (): void => {
      const first: unknown = socket.read()
      if (!(first instanceof Uint8Array)) return
      settle()
      socket.unshift(first)
      if (first[0] === TLS_HANDSHAKE) this.#secure(socket, done)
      else done({ kind: 'plain', socket })
    }
    const hungUp = (): void => failed('client closed')
    const timer = setTimeout(() => failed('sent nothing'), this.timeoutMs)
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('readable', look)
      socket.off('close', hungUp)
    }
    socket.on('readable', look)
    socket.once('close', hungUp)
  }
}

/** The names by which a verified certificate may stand for a user, in the order they are tried. */
export function certificateNames(socket: TLSSocket): readonly string[] {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return []
  const names = alternativeNames(certificate.subjectAltName ?? '')
  // Node writes one attribute a line, first to last; RFC 2253 has them last to first.
  const subject = certificate.subject.split('\n').reverse().map(escapeAttribute).join(',')
  return [...names, subject]
}

/**
 * `email:a@b, DNS:host, URI:"..."`: Node quotes a value as JSON where it could be mistaken for
 * several, so a name cannot smuggle in another.
 */
function alternativeNames(text: string): readonly string[] {
  const found: { readonly kind: string; readonly value: string }[] = []
  for (const [, kind = '', value = ''] of text.matchAll(
    /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)/g,
  )) {
    found.push({ kind, value: value.startsWith('"') ? String(JSON.parse(value)) : value })
  }
  return ['email', 'DNS', 'URI'].flatMap((kind) =>
    found.filter((name) => name.kind === kind).map(({ value }) => value),
  )
}

function escapeAttribute(line: string): string {
  const at = line.indexOf('=') + 1
  return line.slice(0, at) + line.slice(at).replaceAll(/[,+"\\<>;]/g, '\\$&')
}

function addressOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`
}

const DEFAULT_TIMEOUT_MS = 2000
/** The type of the record that a TLS client begins with; no NATS command begins so. */
const TLS_HANDSHAKE = 0x16
