import type { AddressInfo, ListenOptions, Server } from 'node:net'
import { NatsServerError } from './errors.ts'

export interface ListenAt extends ListenOptions {
  readonly host: string
  /** 0 or -1 takes any free port. */
  readonly port: number
  /** For whom, and how the user calls the port: for the text when it cannot be had. */
  readonly clients: string
  readonly portSetting: string
}

/** Rejects with NatsServerError 'address-in-use' or 'address-refused'. */
export async function listenAt(server: Server, at: ListenAt): Promise<void> {
  const { host, port, clients, portSetting } = at
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      const taken = error.code === 'EADDRINUSE'
      const why = taken
        ? `another program uses this port; choose another with ${portSetting} (-1 takes any free one)`
        : error.message
      const text = `cannot listen for ${clients} on ${host}:${port}: ${why}`
      const code = taken ? 'address-in-use' : 'address-refused'
      reject(new NatsServerError(code, text, { cause: error }))
    }
    server.once('error', refuse)
    server.listen({ ...at, port: Math.max(0, port) }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

/** 0 while it does not listen. */
export function boundPort(server: Server | undefined): number {
  return addressOf(server)?.port ?? 0
}

/** '' while it does not listen. */
export function boundUrl(scheme: string, server: Server | undefined): string {
  const address = addressOf(server)
  if (address === undefined) return ''
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${scheme}://${host}:${address.port}`
}

function addressOf(server: Server | undefined): AddressInfo | undefined {
  const address = server?.address()
  return typeof address === 'object' && address !== null ? address : undefined
}
