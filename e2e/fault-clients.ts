/**
 * Clients that vanish with thousands of acks due, over and over, beside others that go on: what
 * the vanished leave behind must not reach anybody else's call [B1].
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { prefixed, RawConnection } from './raw-grpc.ts'
import { encodePublish, encodeSubscribe } from './raw-messages.ts'
import { expectNone, type Report, thousands } from './report.ts'
import { endRun, ServerUnderLoad } from './server-under-load.ts'

const LOAD = { ratePerSecond: 20_000, window: 5_000 }
const VANISHING = 40
const BURST_MESSAGES = 20_000
/** Partition 0 of no stream that the history watches: what the vanished store is their own affair. */
const THEIR_STREAM = 'vanished'
const EARLIEST = 2

export async function clientsVanish(report: Report): Promise<void> {
  await report.test('clients that vanish with acks and messages in flight', async () => {
    const load = await ServerUnderLoad.start(false)
    try {
      await load.createStream(THEIR_STREAM)
      const run = await load.publishUntil(async () => {
        for (let i = 0; i < VANISHING; i++) await vanish(load.server.address)
      }, LOAD)
      for (const publisher of run.publishers) {
        if (!(await publisher.settle(20_000))) {
          throw new Error(`${publisher.outstanding} acks never came`)
        }
        if (publisher.fault !== undefined) throw publisher.fault
      }
      endRun(run)
      const read = await load.verify()
      expectNone(read.anomalies, load.server.output.slice(-2_000))
      return `${VANISHING} clients vanished; ${thousands(read.messages)} messages of others verified`
    } finally {
      await load.remove()
    }
  })
}

/** Publishes a burst, subscribes to it, and breaks the connection at once. */
async function vanish(address: string): Promise<void> {
  const connection = await RawConnection.open(address)
  const call = connection.call('PublishAsync')
  const one = prefixed(
    encodePublish({
      stream: THEIR_STREAM,
      partition: 0,
      value: Buffer.alloc(100, 'x'),
      correlationId: 'of somebody who is gone',
      ackPolicy: 'LEADER',
    }),
  )
  const reader = connection.call('Subscribe')
  const position = { stream: THEIR_STREAM, partition: 0, startPosition: EARLIEST }
  reader.end(prefixed(encodeSubscribe(position)))
  call.write(Buffer.concat(Array<Buffer>(BURST_MESSAGES).fill(one)))
  await sleep(Math.random() * 100)
  connection.close()
}
