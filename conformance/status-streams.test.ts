/** Golden statuses: CreateStream, DeleteStream, FetchMetadata, FetchPartitionMetadata, health. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from './api-client.ts'
import type { CreateStreamRequest } from './api-types.ts'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import { expectStatus } from './expect.ts'

onEachDeployment('CreateStream', (running) => {
  const create = (request: CreateStreamRequest): Promise<Outcome<unknown>> =>
    running().api.call('CreateStream', request)

  test('refuses an empty name', async () => {
    expectStatus(await create({ subject: 'a' }), 'INVALID_ARGUMENT', 'Name cannot be empty')
  })

  for (const subject of ['', 'a..b', '.a', 'a.', 'a b', 'a\tb', 'a\nb', 'a\rb']) {
    test(`refuses the subject ${JSON.stringify(subject)}`, async () => {
      const outcome = await create({ name: freshName(), subject })
      expectStatus(outcome, 'INVALID_ARGUMENT', 'Subject is invalid')
    })
  }

  for (const name of ['__cursors', '__activity']) {
    test(`refuses the reserved name ${name}`, async () => {
      expectStatus(await create({ name, subject: 'a' }), 'INVALID_ARGUMENT', 'Stream is reserved')
    })
  }

  test('refuses a replication factor above the cluster size', async () => {
    const outcome = await create({ name: freshName(), subject: 'a', replicationFactor: 5 })
    expectStatus(outcome, 'INVALID_ARGUMENT', 'Invalid replicationFactor 5, cluster size 1')
  })

  test('refuses the replication factor -2', async () => {
    const outcome = await create({ name: freshName(), subject: 'a', replicationFactor: -2 })
    expectStatus(outcome, 'INVALID_ARGUMENT', 'Invalid replicationFactor -2')
  })

  test('takes the replication factor -1 as all brokers', async () => {
    expectStatus(await create({ name: freshName(), subject: 'a', replicationFactor: -1 }), 'OK')
  })

  for (const partitions of [-1, -2147483648, 2147483647]) {
    test(`[D-03] refuses ${partitions} partitions and goes on`, async () => {
      const outcome = await create({ name: freshName(), subject: 'a', partitions })
      expectStatus(outcome, 'INVALID_ARGUMENT')
      await running().stream()
    })
  }

  test('refuses a name that exists, on any subject', async () => {
    const name = await running().stream()
    for (const subject of [name, 'another']) {
      expectStatus(await create({ name, subject }), 'ALREADY_EXISTS', 'stream already exists')
    }
  })

  test('takes several streams on one subject, wildcards, and a name with a slash', async () => {
    const subject = freshName()
    for (let i = 0; i < 2; i++) expectStatus(await create({ name: freshName(), subject }), 'OK')
    expectStatus(await create({ name: freshName(), subject: `${subject}.>` }), 'OK')
    expectStatus(await create({ name: freshName(), subject: `${subject}.*` }), 'OK')
    expectStatus(await create({ name: `${subject}/b`, subject }), 'OK')
  })

  test('refuses encryption while the server has no usable key', async () => {
    const request = { name: freshName(), subject: 'a', encryption: { value: true } }
    expectStatus(await create(request), 'FAILED_PRECONDITION', /invalid AES key size/)
  })
})

onEachDeployment('DeleteStream', (running) => {
  test('answers NOT_FOUND for an unknown and for an empty name', async () => {
    for (const name of [freshName(), '']) {
      const outcome = await running().api.call('DeleteStream', { name })
      expectStatus(outcome, 'NOT_FOUND', 'stream does not exist')
    }
  })

  test('refuses the reserved names', async () => {
    for (const name of ['__cursors', '__activity']) {
      const outcome = await running().api.call('DeleteStream', { name })
      expectStatus(outcome, 'INVALID_ARGUMENT', 'Stream is reserved')
    }
  })

  test('deletes; the name can be used again, from offset 0', async () => {
    const { api } = running()
    const name = await running().stream()
    await running().publish(name, ['old-0', 'old-1'])
    expectStatus(await api.call('DeleteStream', { name }), 'OK')
    expectStatus(await api.call('DeleteStream', { name }), 'NOT_FOUND', 'stream does not exist')
    const gone = await api.call('Publish', { stream: name, value: bytes('x') })
    expectStatus(gone, 'NOT_FOUND', `no such stream: ${name}`)
    await running().stream({ name })
    assert.deepEqual(await running().publish(name, ['new-0']), [0])
  })
})

onEachDeployment('FetchMetadata', (running) => {
  test('answers OK with an UNKNOWN_STREAM entry for an unknown stream', async () => {
    const streams = [freshName()]
    const response = await running().api.ok('FetchMetadata', { streams })
    assert.deepEqual(
      response.streamMetadata.map((stream) => [stream.name, stream.error]),
      [[streams[0], 'UNKNOWN_STREAM']],
    )
  })

  test('answers OK with an UNKNOWN_GROUP entry for an unknown group', async () => {
    const groups = [freshName()]
    const response = await running().api.ok('FetchMetadata', { groups })
    assert.deepEqual(
      response.groupMetadata.map((group) => [group.groupId, group.error]),
      [[groups[0], 'UNKNOWN_GROUP']],
    )
  })

  test('names every stream when none is asked for, and only the asked ones otherwise', async () => {
    const first = await running().stream({ partitions: 3 })
    const second = await running().stream()
    const all = await running().api.ok('FetchMetadata', {})
    const names = all.streamMetadata.map((stream) => stream.name)
    assert.ok(names.includes(first) && names.includes(second), names.join())
    const one = await running().api.ok('FetchMetadata', { streams: [first] })
    assert.deepEqual(
      one.streamMetadata.map((stream) => stream.name),
      [first],
    )
    assert.deepEqual(Object.keys(one.streamMetadata[0]?.partitions ?? {}), ['0', '1', '2'])
    assert.deepEqual(one.groupMetadata, [])
  })

  test('shows subject, creation time, replicas and offsets of each partition', async () => {
    const name = await running().stream()
    await running().publish(name, ['a', 'b'])
    const response = await running().api.ok('FetchMetadata', { streams: [name] })
    const stream = response.streamMetadata[0]
    const partition = stream?.partitions[0]
    const id = response.brokers[0]?.id
    assert.equal(stream?.subject, name)
    assert.equal(stream?.error, 'OK')
    assert.deepEqual(partition?.replicas, [id])
    assert.deepEqual(partition?.isr, [id])
    assert.equal(partition?.leader, id)
    assert.equal(partition?.highWatermark, '1')
    assert.equal(partition?.newestOffset, '1')
    assert.equal(partition?.paused, false)
    assert.equal(partition?.readonly, false)
  })
})

onEachDeployment('FetchPartitionMetadata', (running) => {
  test('answers NOT_FOUND for an unknown stream and partition', async () => {
    const stream = await running().stream()
    const unknown = [
      { stream: freshName(), partition: 0 },
      { stream, partition: 1 },
      { stream, partition: -1 },
    ]
    for (const request of unknown) {
      const outcome = await running().api.call('FetchPartitionMetadata', request)
      expectStatus(outcome, 'NOT_FOUND', 'partition not found')
    }
  })

  test('shows the high watermark and the newest offset, -1 while empty', async () => {
    const stream = await running().stream()
    const fetch = async (): Promise<readonly (string | undefined)[]> => {
      const { metadata } = await running().api.ok('FetchPartitionMetadata', { stream })
      return [metadata?.highWatermark, metadata?.newestOffset]
    }
    assert.deepEqual(await fetch(), ['-1', '-1'])
    await running().publish(stream, ['a', 'b', 'c'])
    assert.deepEqual(await fetch(), ['2', '2'])
  })
})

onEachDeployment('The gRPC port', (running) => {
  const health = (service: string): Buffer =>
    service === ''
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.from([10, service.length]), bytes(service)])

  for (const service of ['', 'proto.API']) {
    test(`reports the service ${JSON.stringify(service)} as serving`, async () => {
      const outcome = await running().api.raw('/grpc.health.v1.Health/Check', health(service))
      expectStatus(outcome, 'OK')
      assert.deepEqual(outcome.response, Buffer.from([8, 1]))
    })
  }

  test('answers NOT_FOUND to a health check of an unknown service', async () => {
    const outcome = await running().api.raw('/grpc.health.v1.Health/Check', health('nope'))
    expectStatus(outcome, 'NOT_FOUND', 'unknown service')
  })

  for (const path of [
    '/proto.API/Nope',
    '/proto.Nope/Publish',
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  ]) {
    test(`answers UNIMPLEMENTED to ${path}`, async () => {
      expectStatus(await running().api.raw(path, Buffer.alloc(0)), 'UNIMPLEMENTED')
    })
  }

  test('answers INTERNAL to a request that is no protobuf', async () => {
    // A field of wire type 6, which protobuf does not have; and one that ends too early.
    for (const payload of [Buffer.from([0x0e, 1]), Buffer.from([0x12, 200, 1, 2])]) {
      for (const method of ['CreateStream', 'Publish', 'FetchMetadata', 'Subscribe']) {
        const outcome = await running().api.raw(`/proto.API/${method}`, payload)
        expectStatus(outcome, 'INTERNAL', /^grpc: error unmarshalling request/)
      }
    }
  })

  test('answers RESOURCE_EXHAUSTED to a message above 4 MiB', async () => {
    const stream = await running().stream()
    const outcome = await running().api.call('Publish', { stream, value: Buffer.alloc(5_000_000) })
    const text = /^grpc: received message larger than max \(\d+ vs\. 4194304\)$/
    expectStatus(outcome, 'RESOURCE_EXHAUSTED', text)
    assert.deepEqual(await running().publish(stream, ['after']), [0])
  })
})
