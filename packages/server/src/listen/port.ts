/**
 * The one port. The first bytes of a cleartext connection tell HTTP/2 with prior knowledge (gRPC)
 * from HTTP/1.1 (health, metrics); with TLS, ALPN does.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'

/** How an HTTP/2 connection preface starts; no HTTP/1 method does. [RFC 9113 3.4] */
const HTTP2_PREFACE = Buffer.from('PRI')

/** A probe asks once, a scraper now and then; the last answer says that the connection ends. */
const REQUESTS_PER_CONNECTION_MAX = 100

export type PortOptions = {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly tls?: PortTls
  /** A connection that has not said what it speaks by then is cut. */
  readonly firstBytesTimeoutMs: number
  /** Open connections, both protocols together; more are refused. */
  readonly maxConnections: number
  readonly onHttp2: (socket: Socket) => void
  readonly onHttp1: RequestListener
}

export type PortTls = {
  readonly cert: Buffer
  readonly key: Buffer
  /** Only clients with a certificate are let in. */
  readonly clientAuth: boolean
  /** Authorities of the clients' certificates; those of the system when absent. */
  readonly clientCa?: Buffer
}

export type Address = { readonly host: string; readonly port: number }

export class Port {
  readonly #options: PortOptions
  readonly #http1: Server
  readonly #listener: TcpServer
  readonly #sockets = new Set<Socket>()
  /** What lies beneath connections with TLS. */
  readonly #beneathTls = new Set<Socket>()
  readonly #requestTimers = new WeakMap<Socket, NodeJS.Timeout>()

  constructor(options: PortOptions) {
    this.#options = options
    this.#http1 = createHttpServer({ maxHeaderSize: 16_384 }, options.onHttp1)
    this.#http1.keepAliveTimeout = 5_000
    // Requests sent without waiting for answers are all served in one turn of the event loop.
    this.#http1.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX
    this.#http1.on('dropRequest', (_request, socket) => socket.destroy())
    this.#http1.on('request', (request, response) => this.#onHttp1Request(request, response))
    this.#listener = options.tls ? this.#tlsListener(options.tls) : this.#tcpListener()
    this.#listener.maxConnections = options.maxConnections
  }

  /** Binds. Rejects with a text that names the address and the setting when it is taken. */
  async listen(): Promise<Address> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', (cause: NodeJS.ErrnoException) => {
        reject(listenError(host, port, cause))
      })
      this.#listener.listen({ host, port }, () => {
        this.#listener.removeAllListeners('error')
        // A later error of the listener (out of descriptors) must not end the process.
        this.#listener.on('error', () => undefined)
        resolve()
      })
    })
    const bound = this.#listener.address()
    return { host, port: typeof bound === 'object' && bound ? bound.port : port }
  }

  /** Takes no new connections. */
  stopListening(): void {
    this.#listener.close()
  }

  /** Cuts what is still open. */
  destroy(): void {
    this.stopListening()
    for (const socket of this.#sockets) socket.destroy()
    for (const socket of this.#beneathTls) socket.destroy()
  }

  get connections(): number {
    return this.#sockets.size
  }

  #tcpListener(): TcpServer {
    return createTcpServer({ noDelay: true }, (socket) => {
      this.#track(socket)
      this.#sniff(socket)
    })
  }

  #tlsListener(tls: PortTls): TcpServer {
    const listener = createTlsServer(
      {
        cert: tls.cert,
        key: tls.key,
        requestCert: tls.clientAuth,
        rejectUnauthorized: tls.clientAuth,
        ...(tls.clientCa ? { ca: tls.clientCa } : {}),
        ALPNProtocols: ['h2', 'http/1.1'],
        minVersion: 'TLSv1.2',
        handshakeTimeout: this.#options.firstBytesTimeoutMs,
      },
      (socket: TLSSocket) => {
        this.#track(socket)
        if (socket.alpnProtocol === 'h2') this.#options.onHttp2(socket)
        else this.#takeHttp1(socket)
      },
    )
    // Before its handshake a connection has no TLS socket yet, and must not outlive the port.
    listener.on('connection', (socket: Socket) => this.#trackBeneathTls(socket))
    // A handshake that fails is the client's affair.
    listener.on('tlsClientError', (_error, socket) => socket.destroy())
    return listener
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #trackBeneathTls(socket: Socket): void {
    const beneath = this.#beneathTls
    beneath.add(socket)
    socket.once('close', () => beneath.delete(socket))
  }

  #sniff(socket: Socket): void {
    const tooLate = setTimeout(() => socket.destroy(), this.#options.firstBytesTimeoutMs)
    tooLate.unref()
    socket.once('close', () => clearTimeout(tooLate))
    let received: Buffer = Buffer.alloc(0)
    const look = (): void => {
      const more = socket.read() as Buffer | null
      if (more !== null) received = received.length === 0 ? more : Buffer.concat([received, more])
      const known = Math.min(received.length, HTTP2_PREFACE.length)
      const mayBeHttp2 = received.subarray(0, known).equals(HTTP2_PREFACE.subarray(0, known))
      if (mayBeHttp2 && known < HTTP2_PREFACE.length) {
        // "P" and "PR" may still become POST or PRI: wait for the next bytes.
        socket.once('readable', look)
        return
      }
      clearTimeout(tooLate)
      socket.unshift(received)
      if (mayBeHttp2) this.#options.onHttp2(socket)
      else this.#takeHttp1(socket)
    }
    socket.once('readable', look)
  }

  #takeHttp1(socket: Socket): void {
    this.#expectRequest(socket)
    socket.once('close', () => clearTimeout(this.#requestTimers.get(socket)))
    this.#http1.emit('connection', socket)
  }

  /**
   * Cuts the connection when no whole request has come in time, however slowly it is fed. The
   * timeouts of node:http do not work here: they are kept by a server that listens itself.
   */
  #expectRequest(socket: Socket): void {
    const tooLate = setTimeout(() => socket.destroy(), this.#options.firstBytesTimeoutMs)
    tooLate.unref()
    this.#requestTimers.set(socket, tooLate)
  }

  #onHttp1Request(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    request.once('end', () => clearTimeout(this.#requestTimers.get(socket)))
    response.once('finish', () => {
      clearTimeout(this.#requestTimers.get(socket))
      if (response.shouldKeepAlive && !socket.destroyed) this.#expectRequest(socket)
    })
  }
}

function listenError(host: string, port: number, cause: NodeJS.ErrnoException): Error {
  const at = `${host}:${port}`
  const text =
    cause.code === 'EADDRINUSE'
      ? `cannot listen on ${at}: the port is taken by another process; choose another with --port (or the setting "listen")`
      : cause.code === 'EACCES'
        ? `cannot listen on ${at}: not permitted; choose a port above 1023 with --port (or the setting "listen")`
        : `cannot listen on ${at}: ${cause.message}; check the setting "listen"`
  return new Error(text, { cause })
}
