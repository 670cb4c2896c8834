import assert from 'node:assert/strict'
import test from 'node:test'
import type { Outcome } from '@liftbridge/metadata'
import { ClusterSubjects } from '@liftbridge/wire'
import { createSystemRandom } from '../adapters/system-random.ts'
import { silentLogger } from '../logging/logger.ts'
import { Metadata } from '../metadata/metadata.ts'
import { openRaft } from '../raft/open-raft.ts'
import { LocalNats } from '../replication/local-bus.suite.ts'
import { MemoryDisk } from '../replication/memory-disk.suite.ts'
import { VirtualClock } from '../replication/virtual-time.suite.ts'
import { Controller } from './controller.ts'

test('a change whose caller has given up is not tried again, lest it undo what came since', async () => {
  const clock = new VirtualClock()
  const bus = new LocalNats(clock).connect('a')
  const subjects = new ClusterSubjects('test')
  // Nobody founds a cluster, so no metadata leader is ever known.
  const consensus = await openRaft<Outcome>({
    disk: new MemoryDisk().attach(),
    directory: '/raft',
    bus,
    subjects,
    clock,
    random: createSystemRandom(),
    serverId: 'a',
    settings: {
      bootstrapSeed: false,
      bootstrapPeers: [],
      maxQuorumSize: 0,
      snapshotRetain: 2,
      snapshotThreshold: 8_192,
    },
    logger: silentLogger,
  })
  const controller = new Controller({
    metadata: new Metadata({ consensus }),
    bus,
    subjects,
    serverId: 'a',
    clock,
    logger: silentLogger,
    streamDefaults: () => assert.fail('no stream is planned'),
    reportTimeoutMs: 1_000,
  })
  const caller = new AbortController()
  let answered: string | undefined
  const change = { kind: 'delete-stream', stream: 'orders' } as const
  void controller.submit(change, 5_000, caller.signal).then(({ kind }) => (answered = kind))
  await clock.pass(1_000)
  assert.equal(answered, undefined)
  caller.abort()
  await clock.pass(100)
  assert.equal(answered, 'rejected')
})
