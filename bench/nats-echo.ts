/** Answers every request on the echo subject with its payload, from a process of its own. */
import { ECHO_SUBJECT } from './nats-load.ts'
import { RawNats } from './raw-nats.ts'

const nats = await RawNats.open(process.argv[2] ?? '')
nats.onDelivery(({ bytes, line, payload }) => {
  const reply = bytes.toString('latin1', line[0], line[1]).split(' ')[3] ?? ''
  const body = bytes.subarray(payload[0], payload[1])
  const head = `PUB ${reply} ${body.length}\r\n`
  nats.write(Buffer.concat([Buffer.from(head), body, Buffer.from('\r\n')]))
})
nats.write(`SUB ${ECHO_SUBJECT} 1\r\n`)
await nats.flush()
process.send?.('ready')
process.on('disconnect', () => process.exit(0))
