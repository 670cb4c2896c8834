/** What takes several servers: who may answer what, and what any of them passes on. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { ClusterProcess } from '../e2e/cluster/cluster-process.ts'
import { until } from '../e2e/child.ts'
import { natsServerProgram } from '../e2e/nats-process.ts'
import { ApiClient } from './api-client.ts'
import type { CreateStreamRequest, PartitionMetadata, PublishRequest } from './api-types.ts'
import { bytes, freshName } from './deployments.ts'
import { expectStatus } from './expect.ts'
import { AsyncPublisher, Subscription } from './subscription.ts'

const SERVERS = 3
const PATIENT_MS = 20_000
const skip = natsServerProgram() === undefined ? 'nats-server is not installed' : false

describe('a cluster of three', { skip }, () => {
  let cluster: ClusterProcess
  const clients = new Map<string, ApiClient>()

  before(async () => {
    cluster = await ClusterProcess.start({ servers: SERVERS })
    for (const { id, server } of cluster.members) clients.set(id, new ApiClient(server.address))
  })
  after(async () => {
    for (const client of clients.values()) client.close()
    await cluster.remove()
  })

  const ids = (): readonly string[] => [...clients.keys()]
  const api = (id: string): ApiClient => {
    const client = clients.get(id)
    assert.ok(client, id)
    return client
  }

  async function create(options: CreateStreamRequest = {}, by = ids()[0] ?? ''): Promise<string> {
    const name = options.name ?? freshName()
    await api(by).ok('CreateStream', { subject: name, ...options, name })
    return name
  }

  async function state(name: string, by = ids()[0] ?? ''): Promise<PartitionMetadata> {
    const { streamMetadata } = await api(by).ok('FetchMetadata', { streams: [name] })
    const partition = streamMetadata[0]?.partitions['0']
    assert.ok(partition, `${name} as ${by} sees it`)
    return partition
  }

  const others = (id: string): readonly string[] => ids().filter((it) => it !== id)

  test('every server lists every server, where clients reach it [LB 4.5]', async () => {
    for (const id of ids()) {
      const { brokers } = await api(id).ok('FetchMetadata', {})
      assert.deepEqual(brokers.map((broker) => broker.id).toSorted(), [...ids()].toSorted())
      for (const broker of brokers) {
        assert.equal(broker.port, cluster.member(broker.id).server.port)
      }
    }
  })

  test('any server creates, pauses, marks and deletes streams [LB 4.2]', async () => {
    for (const id of ids()) {
      const name = await create({ replicationFactor: SERVERS }, id)
      assert.deepEqual([...(await state(name, id)).replicas].toSorted(), [...ids()].toSorted())
      expectStatus(
        await api(id).call('CreateStream', { name, subject: name }),
        'ALREADY_EXISTS',
        'stream already exists',
      )
      await api(id).ok('SetStreamReadonly', { name, readonly: true })
      assert.equal((await state(name, id)).readonly, true)
      await api(id).ok('PauseStream', { name })
      assert.equal((await state(name, id)).paused, true)
      await api(id).ok('DeleteStream', { name })
      expectStatus(
        await api(id).call('DeleteStream', { name }),
        'NOT_FOUND',
        'stream does not exist',
      )
    }
  })

  test('a replication factor beyond the cluster is refused, -1 means all [LB 4.4]', async () => {
    const name = freshName()
    for (const id of ids()) {
      expectStatus(
        await api(id).call('CreateStream', { name, subject: name, replicationFactor: 4 }),
        'INVALID_ARGUMENT',
        'Invalid replicationFactor 4, cluster size 3',
      )
    }
    await create({ name, replicationFactor: -1 })
    assert.equal((await state(name)).replicas.length, SERVERS)
  })

  test('the partitions of one stream spread over the servers [D-12]', async () => {
    const name = await create({ partitions: SERVERS })
    const { streamMetadata } = await api(ids()[0] ?? '').ok('FetchMetadata', { streams: [name] })
    const leaders = Object.values(streamMetadata[0]?.partitions ?? {}).map(({ leader }) => leader)
    assert.deepEqual(leaders.toSorted(), [...ids()].toSorted())
  })

  test('only the leader answers FetchPartitionMetadata and Subscribe', async () => {
    const name = await create({ replicationFactor: SERVERS })
    const { leader } = await state(name)
    await api(leader).ok('FetchPartitionMetadata', { stream: name, partition: 0 })
    for (const id of others(leader)) {
      expectStatus(
        await api(id).call('FetchPartitionMetadata', { stream: name, partition: 0 }),
        'FAILED_PRECONDITION',
        'The request should be sent to partition leader',
      )
      const end = await Subscription.start(api(id), { stream: name }).end()
      expectStatus(end, 'FAILED_PRECONDITION', 'Server not partition leader')
    }
  })

  test('every server takes publishes for every partition, and answers with its ack', async () => {
    const name = await create({ replicationFactor: SERVERS, minIsr: { value: 2 } })
    const offsets: string[] = []
    for (const id of ids()) {
      for (const ackPolicy of ['LEADER', 'ALL'] as const) {
        const request = { stream: name, value: bytes(`${id} ${ackPolicy}`), ackPolicy }
        const { ack } = await api(id).ok('Publish', request)
        assert.ok(ack)
        offsets.push(ack.offset)
      }
    }
    assert.deepEqual(offsets, ['0', '1', '2', '3', '4', '5'])
  })

  test('PublishAsync to a server that does not lead acknowledges in order', async () => {
    const name = await create({ replicationFactor: SERVERS })
    const [follower = ''] = others((await state(name)).leader)
    const publisher = new AsyncPublisher(api(follower))
    const requests: readonly PublishRequest[] = ['a', 'b', 'c'].map((text) => {
      return { stream: name, value: bytes(text), correlationId: text, ackPolicy: 'ALL' }
    })
    for (const request of requests) publisher.send(request)
    const responses = await publisher.messages(requests.length)
    assert.deepEqual(
      responses.map(({ correlationId, ack }) => [correlationId, ack?.offset]),
      [
        ['a', '0'],
        ['b', '1'],
        ['c', '2'],
      ],
    )
    publisher.finish()
  })

  test('a follower in the ISR serves readISRReplica what is committed, nobody else does', async () => {
    const name = await create({ replicationFactor: 2 })
    const { leader, replicas } = await state(name)
    await api(leader).ok('Publish', { stream: name, value: bytes('hello'), ackPolicy: 'ALL' })
    const [follower = ''] = replicas.filter((id) => id !== leader)
    const subscription = await Subscription.open(api(follower), {
      stream: name,
      startPosition: 'EARLIEST',
      readISRReplica: true,
    })
    assert.equal((await subscription.message()).value.toString(), 'hello')
    subscription.cancel()
    const [stranger = ''] = ids().filter((id) => !replicas.includes(id))
    const end = await Subscription.start(api(stranger), {
      stream: name,
      readISRReplica: true,
    }).end()
    expectStatus(end, 'FAILED_PRECONDITION')
  })

  test('a message that any NATS client publishes is stored once, by the leader', async () => {
    const name = await create({ replicationFactor: SERVERS })
    const connection = await connect({ servers: cluster.nats.url })
    for (let i = 0; i < 10; i += 1) connection.publish(name, `message ${i}`)
    await connection.flush()
    const { leader } = await state(name)
    const subscription = await Subscription.open(api(leader), {
      stream: name,
      startPosition: 'EARLIEST',
    })
    const messages = await subscription.messages(10)
    assert.deepEqual(
      messages.map(({ offset, value }) => `${offset} ${value.toString()}`),
      Array.from({ length: 10 }, (_, i) => `${i} message ${i}`),
    )
    await subscription.quiet()
    subscription.cancel()
    await connection.close()
  })

  test('when a leader dies another takes over, with everything acknowledged', async () => {
    const name = await create({ replicationFactor: SERVERS, minIsr: { value: 2 } })
    const { leader } = await state(name)
    for (const text of ['a', 'b', 'c']) {
      const request = { stream: name, value: bytes(text), ackPolicy: 'ALL' } as const
      await api(leader).ok('Publish', request)
    }
    const dead = cluster.member(leader)
    await cluster.kill(dead)
    const [witness = ''] = others(leader)
    const moved = await until(
      async () => (await state(name, witness)).leader !== leader,
      PATIENT_MS,
    )
    assert.ok(moved, 'another leader')
    const successor = (await state(name, witness)).leader
    const request = { stream: name, value: bytes('d'), ackPolicy: 'ALL' } as const
    const { ack } = await api(successor).ok('Publish', request)
    assert.equal(ack?.offset, '3')
    const { brokers } = await api(witness).ok('FetchMetadata', {})
    assert.ok(!brokers.some(({ id }) => id === leader), 'a dead server is not listed [D-39]')
    await cluster.restart(dead)
    const back = await until(
      async () => (await state(name, witness)).isr.length === SERVERS,
      PATIENT_MS,
    )
    assert.ok(back, 'the one that was dead is in sync again')
  })
})
