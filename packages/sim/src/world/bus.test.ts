import { after } from 'node:test'
import { busSuite } from '../../../server/src/adapters/bus.suite.ts'
import { createSimRandom } from '../random.ts'
import { Network } from './network.ts'
import { SimNats } from './nats.ts'
import { SimProcess } from './sim-process.ts'
import { Scheduler } from './scheduler.ts'

const scheduler = new Scheduler()
const random = createSimRandom('bus suite')
const nats = new SimNats({
  scheduler,
  random,
  network: new Network(random.of('network')),
  maxPendingBytes: 64 * 2 ** 20,
})
let running = true
let hosts = 0

/** The suite waits for promises in real time, so the world goes on whenever it has events. */
async function carryOn(): Promise<void> {
  while (running) {
    await scheduler.run()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
void carryOn()
after(() => {
  running = false
})

busSuite({
  name: 'simulated',
  connect: ({ echo, name = 'test' }) => {
    const host = `host ${++hosts}`
    return nats.connect({ process: new SimProcess(host, scheduler), host, name, echo })
  },
})
