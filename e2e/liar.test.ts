/**
 * The whole chain of load, reading back and checking against a server that lies: it must be caught
 * whatever it does wrong, and an honest one must pass. The server is made of @grpc/grpc-js.
 */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { PartitionHistory } from './history.ts'
import { noCounts, Publisher } from './load.ts'
import { RawConnection } from './raw-grpc.ts'
import { type ReadResult, readBack } from './read-back.ts'

type Stored = { offset: number; key: Buffer; value: Buffer }
type Publish = { key: Buffer; value: Buffer; correlationId: string; ackPolicy: string }
/** Stores the message in its own way; the offset to acknowledge. */
type Store = (log: Stored[], message: Publish) => number

const proto = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  'packages/wire/proto/api.proto',
)
const LIE_AFTER = 700

function honest(log: Stored[], { key, value }: Publish): number {
  const offset = log.length
  log.push({ offset, key, value })
  return offset
}

async function startServer(store: Store): Promise<{ server: Server; address: string }> {
  const log: Stored[] = []
  const definition = loadSync(proto, { longs: Number, enums: String, defaults: true })
  const server = new Server()
  server.addService(definition['proto.API'] as unknown as ServiceDefinition, {
    PublishAsync: (call: ServerDuplexStream<Publish, unknown>) => {
      call.on('data', (message: Publish) => {
        const offset = store(log, message)
        const { correlationId } = message
        if (message.ackPolicy !== 'NONE') {
          call.write({ ack: { offset, correlationId }, correlationId })
        }
      })
      call.on('error', () => undefined)
    },
    Subscribe: (call: ServerWritableStream<unknown, unknown>) => {
      call.write({})
      for (const message of log) call.write(message)
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'Stop offset reached' })
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return { server, address: `127.0.0.1:${port}` }
}

/** Loads the server for a moment and checks what it then shows. */
async function judge(store: Store): Promise<ReadResult> {
  const { server, address } = await startServer(store)
  const history = new PartitionHistory('lies')
  const target = { stream: 's', partition: 0, history }
  const connection = await RawConnection.open(address)
  const counts = noCounts()
  const publisher = new Publisher(connection, target, { window: 500, counts })
  const running = publisher.run(10, 1_000)
  // The load runs by itself: this looks now and then whether enough has been sent.
  while (counts.sent < LIE_AFTER * 3) await sleep(5)
  publisher.stop()
  await running
  assert.ok(await publisher.settle(10_000))
  connection.close()
  try {
    return await readBack(address, [target])
  } finally {
    server.forceShutdown()
  }
}

test('an honest server passes', async () => {
  const { messages, anomalies } = await judge(honest)
  assert.deepEqual(anomalies, [])
  assert.ok(messages >= LIE_AFTER * 3)
})

/** Does `wrong` once, for the first acknowledged message after a while, and is honest otherwise. */
function once(wrong: Store): Store {
  let lied = false
  return (log, message) => {
    if (lied || log.length < LIE_AFTER || message.ackPolicy === 'NONE') return honest(log, message)
    lied = true
    return wrong(log, message)
  }
}

const lies: readonly [string, string, Store][] = [
  ['drops one acknowledged message', 'lost', once((log) => log.length)],
  [
    'stores one message twice',
    'duplicate',
    once((log, message) => {
      honest(log, message)
      return honest(log, message)
    }),
  ],
  [
    'changes one byte',
    'changed',
    once((log, message) => {
      const value = Buffer.from(message.value)
      value[value.length - 1] = (value.at(-1) ?? 0) ^ 1
      return honest(log, { ...message, value })
    }),
  ],
  [
    'invents a message',
    'phantom',
    once((log, message) => {
      log.push({ offset: log.length, key: Buffer.alloc(0), value: Buffer.from('999-7-zzz') })
      return honest(log, message)
    }),
  ],
  [
    'skips an offset',
    'gap',
    once((log, { key, value }) => {
      log.push({ offset: log.length + 1, key, value })
      return log.length
    }),
  ],
  [
    'acknowledges another offset than it gave',
    'moved',
    once((log, message) => honest(log, message) + 1),
  ],
]

for (const [what, kind, store] of lies) {
  test(`a server that ${what} is caught`, async () => {
    const { anomalies } = await judge(store)
    const kinds = new Set(anomalies.map((anomaly) => anomaly.kind))
    assert.ok(
      [...kinds].some((found) => found === kind),
      `${kind} not among ${[...kinds].join()}`,
    )
  })
}
