import type { Operation } from '@liftbridge/metadata'

/** Creates a stream of one partition on server a. */
export const createStream = (name: string): Operation<'create-stream'> => ({
  kind: 'create-stream',
  stream: {
    name,
    subject: name,
    group: '',
    replicationFactor: 1,
    partitions: [{ id: 0, replicas: ['a'], isr: ['a'], leader: 'a' }],
    config: {},
    creationTimestampNs: 1n,
  },
})
