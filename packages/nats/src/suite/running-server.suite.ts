/** A server of a test's own, and clients of it. */
import assert from 'node:assert/strict'
import type { NatsLimits } from '../limits.ts'
import { NatsServer, type NatsServerEvent } from '../server.ts'
import { RawClient } from './raw-client.suite.ts'

export interface Running {
  readonly server: NatsServer
  readonly events: NatsServerEvent[]
  readonly open: (hello?: string) => Promise<RawClient>
}

export async function start(limits: Partial<NatsLimits> = {}): Promise<Running> {
  const events: NatsServerEvent[] = []
  const server = new NatsServer({ port: -1, limits, onEvent: (event) => events.push(event) })
  await server.listen()
  const address = { host: '127.0.0.1', port: server.port }
  return { server, events, open: (hello) => RawClient.open(address, hello) }
}

/** A condition that stays for ever fails its test; it must not keep the process. */
export async function whileTrue(condition: () => boolean): Promise<void> {
  const endsMs = performance.now() + 30_000
  while (condition()) {
    assert.ok(performance.now() < endsMs, `after 30 s still: ${condition.toString()}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
