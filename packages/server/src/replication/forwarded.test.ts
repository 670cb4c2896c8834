/** What a gRPC client publishes is stored by its leader and forwarded to NATS: never both by one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { api, decodePublishRequest, PublishEnvelopeWriter, PublishView } from '@liftbridge/wire'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'
import { STREAM, type TestProcess } from './test-process.suite.ts'

/** As a call of a client does it, with AckPolicy ALL. */
function publishThroughRouter({ router }: TestProcess, value: string): Collector {
  const request = { value: Buffer.from(value), ackPolicy: api.AckPolicy.ALL, expectedOffset: -1n }
  const view = new PublishView()
  const bytes = toBinary(
    api.PublishRequestSchema,
    create(api.PublishRequestSchema, { stream: STREAM, ...request }),
  )
  assert.ok(decodePublishRequest(view, bytes))
  const sink = new Collector()
  const envelopes = new PublishEnvelopeWriter(STREAM, STREAM)
  router.publish({ route: router.routeOf(STREAM), envelopes, local: undefined }, view, sink)
  router.kick()
  return sink
}

for (const heldMs of [0, 1, 50, 500]) {
  test(`a message that NATS forwards late, after ${heldMs} ms, is not stored again by the next leader [D6]`, async () => {
    const cluster = await TestCluster.start()
    await cluster.write('first')
    await cluster.converge()
    const { leader, followers } = cluster
    const next = followers[0]?.id ?? ''
    leader.buses.rest.hold()
    publishThroughRouter(leader, 'once')
    await cluster.clock.pass(heldMs)
    cluster.changeLeader(next)
    await cluster.clock.pass(200)
    leader.buses.rest.release()
    await cluster.converge()
    assert.deepEqual(await valuesOf(cluster.on(next).log), ['first', 'once'])
  })
}
