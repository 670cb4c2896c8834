import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createServer, type TlsOptions } from 'node:tls'
import { GrpcChannel } from './client.ts'
import type { MethodTable, Peer } from './method.ts'
import { GrpcServer } from './server.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { until } from './loopback-server.suite.ts'

const pem = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, '../testdata/tls', `${name}.pem`))

const ca = pem('ca')
const client = { ca, cert: pem('client'), key: pem('client-key') }

let lastPeer: Peer | undefined
const methods: MethodTable = {
  '/t.T/Who': {
    kind: 'unary',
    handle: async (_request, call) => {
      lastPeer = call.peer
      return Buffer.from(call.peer.certificate?.subject.CN?.toString() ?? 'nobody')
    },
  },
}

async function withTls(
  options: TlsOptions,
  body: (port: number, grpc: GrpcServer) => Promise<void>,
): Promise<void> {
  const grpc = new GrpcServer({ methods })
  const listener = createServer(
    { cert: pem('server'), key: pem('server-key'), ca, ALPNProtocols: ['h2'], ...options },
    (socket) => grpc.handleConnection(socket),
  )
  listener.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  try {
    await body((listener.address() as AddressInfo).port, grpc)
  } finally {
    await grpc.stop()
    await new Promise<void>((resolve) => listener.close(() => resolve()))
  }
}

async function who(port: number, tls: object): Promise<string> {
  const channel = await GrpcChannel.connect({
    host: 'localhost',
    port,
    tls,
    connectTimeoutMs: 2000,
  })
  try {
    return Buffer.from(await channel.unary('/t.T/Who', new Uint8Array(0))).toString()
  } finally {
    await channel.close()
  }
}

test('a verified client certificate is shown to the handler', async () => {
  await withTls({ requestCert: true, rejectUnauthorized: true }, async (port) => {
    assert.equal(await who(port, client), 'client')
    assert.equal(lastPeer?.encrypted, true)
    assert.equal(lastPeer.certificate?.subjectaltname, 'URI:spiffe://test/client')
  })
})

test('without a client certificate there is none, and one of an unknown CA does not count', async () => {
  await withTls({ requestCert: true, rejectUnauthorized: false }, async (port) => {
    assert.equal(await who(port, { ca }), 'nobody')
  })
  const requested = { requestCert: true, rejectUnauthorized: false, ca: [] }
  await withTls(requested, async (port) => {
    assert.equal(await who(port, client), 'nobody')
  })
})

test('a server that wants a certificate refuses those without, and plaintext, with nothing left', async () => {
  await withTls({ requestCert: true, rejectUnauthorized: true }, async (port, grpc) => {
    const target = { host: '127.0.0.1', port, connectTimeoutMs: 2000 }
    for (const attempt of [() => who(port, { ca }), () => GrpcChannel.connect(target)]) {
      await assert.rejects(
        attempt(),
        (error: unknown) => error instanceof GrpcError && error.code === GrpcStatus.UNAVAILABLE,
      )
    }
    await until('nothing is left', () => grpc.stats.sockets === 0)
  })
})

test('a client refuses a server whose certificate it cannot verify', async () => {
  await withTls({}, async (port) => {
    await assert.rejects(
      who(port, {}),
      (error: unknown) => error instanceof GrpcError && error.code === GrpcStatus.UNAVAILABLE,
    )
  })
})

test('a client without ALPN is served too, as the bytes decide', async () => {
  await withTls({ ALPNProtocols: [] }, async (port) => {
    assert.equal(await who(port, { ca, ALPNProtocols: [] }), 'nobody')
  })
})
