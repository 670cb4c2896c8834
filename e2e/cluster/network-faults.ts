/** What is done to the network of a cluster, one at a time, each mended before the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import { noCounts, Publisher } from '../load.ts'
import { RawConnection } from '../raw-grpc.ts'
import { follow } from '../read-back.ts'
import {
  between,
  type Fault,
  type FaultContext,
  metadataLeader,
  otherThan,
} from './cluster-faults.ts'
import type { Member } from './cluster-process.ts'
import type { Cut, Network } from './network.ts'

const CUT_MS = { least: 3_000, most: 10_000 }
const DELAY_MS = { least: 50, most: 500 }
const FLAPS = { least: 3, most: 7 }
const FLAP_MS = 1_000
/** What is published to a server that is cut off, on each partition: little, for it may queue. */
const STRANDED = { window: 100, batch: 10, batchesPerSecond: 10 }

const cutLeader: Fault = {
  name: 'partition leader cut from NATS, clients reach it',
  run: (context) => cut(context, context.leader(), 'both ways'),
}

const cutMetadataLeader: Fault = {
  name: 'metadata leader cut from NATS, clients reach it',
  run: async (context) => {
    const leader = await metadataLeader(context.cluster)
    await cut(context, leader ?? context.leader(), 'both ways')
  },
}

const cutFollower: Fault = {
  name: 'another server cut from NATS and clients',
  run: (context) => cut(context, otherThan(context, context.leader()), 'also from clients'),
}

const muteLeader: Fault = {
  name: 'nothing passes from a partition leader to NATS',
  run: (context) => cut(context, context.leader(), 'what it sends'),
}

const deafLeader: Fault = {
  name: 'nothing passes from NATS to a partition leader',
  run: (context) => cut(context, context.leader(), 'what it hears'),
}

const flapLeader: Fault = {
  name: 'partition leader cut and mended each second',
  run: async (context) => {
    const [leader, network] = [context.leader(), networkOf(context)]
    try {
      for (let flaps = between(context.random, FLAPS); flaps > 0; flaps -= 1) {
        context.hit(leader)
        network.cut(leader.number, 'both ways')
        await sleep(FLAP_MS)
        network.mend(leader.number)
        await sleep(FLAP_MS)
      }
    } finally {
      network.mend(leader.number)
    }
  },
}

const loseOfLeader: Fault = {
  name: '20 % loss between a partition leader and NATS',
  run: (context) => strain(context, async (network, server) => network.lose(server)),
}

const slowLeader: Fault = {
  name: '50–500 ms between a partition leader and NATS',
  run: (context) =>
    strain(context, (network, server) =>
      network.slow(server, () => between(context.random, DELAY_MS)),
    ),
}

const resetLeader: Fault = {
  name: 'connections of a partition leader to NATS reset',
  run: (context) => strain(context, async (network, server) => network.reset(server)),
}

/** In turn. */
export const NETWORK_FAULTS: readonly Fault[] = [
  cutLeader,
  loseOfLeader,
  muteLeader,
  cutMetadataLeader,
  slowLeader,
  deafLeader,
  cutFollower,
  flapLeader,
  resetLeader,
]

/** Clients know that the server is cut off, and go to others, but for one that stays with it. */
async function cut(context: FaultContext, member: Member, kind: Cut): Promise<void> {
  const network = networkOf(context)
  context.hit(member)
  member.up = false
  network.cut(member.number, kind)
  try {
    const ms = between(context.random, CUT_MS)
    if (kind === 'also from clients') await sleep(ms)
    else await stayWith(context, member, ms)
  } finally {
    network.mend(member.number)
    member.up = true
  }
}

/** Clients know nothing: the server answers as well as it can. */
async function strain(
  context: FaultContext,
  begin: (network: Network, server: number) => Promise<void>,
): Promise<void> {
  const [leader, network] = [context.leader(), networkOf(context)]
  context.hit(leader)
  await begin(network, leader.number)
  try {
    await sleep(between(context.random, CUT_MS))
  } finally {
    network.mend(leader.number)
  }
}

/**
 * A client of a server that is cut off: what it publishes must not be acknowledged by ALL, as
 * nobody else can have it, and what it reads must stay where it was read.
 */
async function stayWith({ targets }: FaultContext, member: Member, ms: number): Promise<void> {
  const counts = noCounts()
  let fault: Error | undefined
  const connection = await RawConnection.open(member.server.address)
  const publishers = targets.map(
    (target) =>
      new Publisher(connection, target, { ...STRANDED, counts, policies: ['ALL'] as const }),
  )
  const readers = targets.map((target) => follow(connection, target, (error) => (fault ??= error)))
  try {
    const { batch, batchesPerSecond } = STRANDED
    const running = publishers.map((publisher) => publisher.run(batch, batchesPerSecond))
    await sleep(ms)
    for (const publisher of publishers) publisher.close()
    await Promise.all(running)
    fault ??= publishers.find((publisher) => publisher.fault !== undefined)?.fault
    if (fault !== undefined) throw fault
    if (counts.acked.ALL > 0) {
      throw new Error(`${member.id}, cut off, acknowledged ${counts.acked.ALL} messages by ALL`)
    }
  } finally {
    for (const reader of readers) reader.cancel()
    connection.close()
  }
}

function networkOf({ cluster }: FaultContext): Network {
  if (cluster.network === undefined) throw new Error('the cluster is not in namespaces')
  return cluster.network
}
