/** What to do next, for somebody who started a server for the first time. */
import type { LiftbridgeServer } from './server.ts'
import { formatHostPort } from './config/addresses.ts'

/** Lines to paste into another terminal. */
export function firstSteps(server: LiftbridgeServer): string {
  const address = formatHostPort(server.address)
  const lines = [
    '',
    `Liftbridge serves gRPC on ${address}; messages are stored in ${server.dataDir}`,
    'In another terminal, from this folder:',
    '',
    `  npm run publish -- --server ${address} greetings 'hello, log'`,
    `  npm run subscribe -- --server ${address} greetings`,
    '',
    ...natsLines(server.natsUrl),
    'Ctrl-C drains and stops. What was acknowledged is there when you start again.',
    '',
  ]
  return `${lines.join('\n')}\n`
}

function natsLines(natsUrl: string | undefined): string[] {
  if (natsUrl === undefined) return []
  const { hostname, port } = new URL(natsUrl)
  return [
    `Any NATS client can publish as well (embedded NATS: ${natsUrl}):`,
    '',
    `  node -e 'net.connect(${port}, "${hostname}").end("PUB greetings 5\\r\\nhello\\r\\nPING\\r\\n")'`,
    '',
  ]
}
