/** What the embedded NATS counts: the numbers of `/varz`, under names of Prometheus. */
import type { NatsServerStats } from '@liftbridge/nats'
import type { Buses } from '../bus.ts'
import { type Metric, single } from './metric.ts'

/** `stats` gives undefined where NATS runs elsewhere, and nothing is told then. */
export function embeddedNatsMetrics(stats: () => NatsServerStats | undefined): readonly Metric[] {
  const of = (name: string, help: string, field: keyof NatsServerStats): Metric =>
    single(`liftbridge_nats_${name}`, help, () => stats()?.[field])
  return [
    of('connections', 'Clients of the embedded NATS over TCP, now', 'connections'),
    of('connections_accepted_total', 'Clients of it accepted since the start', 'totalConnections'),
    of('slow_consumers_total', 'Clients cut because they read too slowly', 'slowConsumers'),
    of('subscriptions', 'Subscriptions, those of this process included', 'subscriptions'),
    of('pending_bytes', 'Bytes waiting to be sent or handed out', 'pendingBytes'),
    of('in_messages_total', 'Messages published', 'inMessages'),
    of('in_bytes_total', 'Headers and payloads of messages published', 'inBytes'),
    of('out_messages_total', 'Messages delivered', 'outMessages'),
    of('out_bytes_total', 'Headers and payloads of messages delivered', 'outBytes'),
  ]
}

/** Whether each connection of this server to NATS stands, embedded or not. */
export function busMetrics(buses: () => Buses | undefined): readonly Metric[] {
  return [
    {
      name: 'liftbridge_nats_connected',
      help: 'Whether a connection of this server to NATS stands (1) or not (0)',
      labels: ['connection'],
      read: () =>
        Object.entries(buses() ?? {}).map(([connection, bus]) => ({
          labels: { connection },
          value: bus.connected ? 1 : 0,
        })),
    },
  ]
}
