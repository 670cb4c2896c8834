import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { GrpcChannel, type ChannelOptions } from './client.ts'
import { GrpcServer, type GrpcServerOptions } from './server.ts'
import { GrpcError } from './status.ts'

/** A GrpcServer behind a loopback listener, as the one-port listener of the server uses it. */
export interface TestServer {
  readonly grpc: GrpcServer
  readonly port: number
  readonly target: string
  channel(options?: Partial<ChannelOptions>): Promise<GrpcChannel>
  close(): Promise<void>
}

export async function startServer(options: GrpcServerOptions): Promise<TestServer> {
  const grpc = new GrpcServer(options)
  const listener: Server = createServer({ noDelay: true }, (socket: Socket) => {
    grpc.handleConnection(socket)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  const channels: GrpcChannel[] = []
  return {
    grpc,
    port,
    target: `127.0.0.1:${port}`,
    async channel(channelOptions = {}) {
      const channel = await GrpcChannel.connect({ host: '127.0.0.1', port, ...channelOptions })
      channels.push(channel)
      return channel
    },
    async close() {
      await Promise.all(channels.map((channel) => channel.close(0)))
      await grpc.stop()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}

/** Awaits a condition, polling the loop; fails after `timeoutMs` with what was awaited. */
export async function until(what: string, holds: () => boolean, timeoutMs = 5000): Promise<void> {
  const giveUpMs = performance.now() + timeoutMs
  while (!holds()) {
    if (performance.now() > giveUpMs) throw new Error(`gave up waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** The error of a call that has to fail. */
export async function failure(promise: Promise<unknown>): Promise<GrpcError> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof GrpcError, String(error))
    return error
  }
  throw new Error('the call did not fail')
}
