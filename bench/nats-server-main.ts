/** Our NATS server alone in a process, for `bench/nats.ts`: prints its port, ends with its parent. */
import { NatsServer } from '../packages/nats/src/index.ts'

const server = new NatsServer({ port: -1 })
await server.listen()
process.send?.(server.port)
process.on('disconnect', () => process.exit(0))
