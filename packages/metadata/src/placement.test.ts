import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { applyOperation } from './operations/table.ts'
import { placeCoordinator, placePartitions, type PlacementServer } from './placement.ts'
import { MetadataState } from './state.ts'

const alive = (...ids: string[]): PlacementServer[] => ids.map((id) => ({ id, alive: true }))

const place = (
  servers: readonly PlacementServer[],
  partitions: number,
  replicationFactor: number,
  state = new MetadataState(),
) => {
  const placement = placePartitions(state, { partitions, replicationFactor, servers })
  assert.ok(placement.kind === 'ok', placement.kind === 'rejected' ? placement.text : '')
  return placement.partitions
}

test('the partitions of one stream spread over the servers, leaders too [D-12]', () => {
  const partitions = place(alive('a', 'b', 'c'), 6, 2)
  const count = (server: string) => ({
    replicas: partitions.filter(({ replicas }) => replicas.includes(server)).length,
    leaders: partitions.filter(({ leader }) => leader === server).length,
  })
  for (const server of ['a', 'b', 'c']) {
    assert.deepEqual(count(server), { replicas: 4, leaders: 2 }, server)
  }
})

test('with nothing to choose by, servers are taken in the order of the configuration', () => {
  assert.deepEqual(place(alive('b', 'a'), 1, 1), [
    { id: 0, replicas: ['b'], isr: ['b'], leader: 'b' },
  ])
})

test('loads of other streams count', () => {
  const state = new MetadataState()
  applyOperation(
    state,
    {
      kind: 'create-stream',
      stream: {
        name: 'foo',
        subject: 'foo',
        group: '',
        replicationFactor: 1,
        config: {},
        creationTimestampNs: 1n,
        partitions: place(alive('a'), 3, 1),
      },
    },
    1,
  )
  const leaders = place(alive('a', 'b'), 4, 1, state).map(({ leader }) => leader)
  assert.deepEqual(leaders, ['b', 'b', 'b', 'a'])
})

test('replication factor -1 means all servers', () => {
  const [partition] = place(alive('a', 'b', 'c'), 1, -1)
  assert.deepEqual(partition?.replicas.toSorted(), ['a', 'b', 'c'])
})

test('impossible replication factors are refused with the texts clients know', () => {
  const refused = (replicationFactor: number) => {
    const request = { partitions: 1, replicationFactor, servers: alive('a') }
    const placement = placePartitions(new MetadataState(), request)
    return placement.kind === 'rejected' ? `${placement.status} ${placement.text}` : 'ok'
  }
  assert.equal(refused(5), 'INVALID_ARGUMENT Invalid replicationFactor 5, cluster size 1')
  assert.equal(refused(-2), 'INVALID_ARGUMENT Invalid replicationFactor -2')
  assert.equal(refused(0), 'INVALID_ARGUMENT Invalid replicationFactor 0')
  const dead = placePartitions(new MetadataState(), {
    partitions: 1,
    replicationFactor: 1,
    servers: [{ id: 'a', alive: false }],
  })
  assert.equal(dead.kind === 'rejected' && dead.status, 'INTERNAL')
})

test('a dead server is taken last, is not in the ISR and does not lead [D-43]', () => {
  const servers = [{ id: 'a', alive: false }, ...alive('b', 'c')]
  for (const { replicas } of place(servers, 4, 2)) assert.ok(!replicas.includes('a'))
  for (const { replicas, isr, leader } of place(servers, 4, 3)) {
    assert.ok(replicas.includes('a'))
    assert.deepEqual(isr.toSorted(), ['b', 'c'])
    assert.ok(isr.includes(leader))
  }
  assert.equal(placeCoordinator(new MetadataState(), servers), 'b')
  assert.equal(placeCoordinator(new MetadataState(), []), undefined)
})

test('replicas and leaders of living servers never differ by more than one', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(),
      (serverCount, partitionCount, seed) => {
        const ids = Array.from({ length: serverCount }, (_, i) => `s${i}`)
        const partitions = place(alive(...ids), partitionCount, 1 + (seed % serverCount))
        const counts = ids.map(
          (id) => partitions.filter(({ replicas }) => replicas.includes(id)).length,
        )
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts.join()}`)
        for (const { replicas, leader } of partitions) assert.ok(replicas.includes(leader))
      },
    ),
    { numRuns: 200 },
  )
})
