import { isSubject, partitionSubject } from '@liftbridge/wire'
import { checkQueueGroup, checkStreamName } from '../names.ts'
import type { NewPartition, NewStream } from '../operation.ts'
import { OK, rejected, type Check } from '../rejection.ts'
import { NEVER, type PartitionState } from '../state.ts'
import type { LogIndex } from '../units.ts'
import type { Rules } from './rules.ts'

/** Creates a stream with its partitions, replicas and leaders; all epochs are the index. */
export const createStream: Rules<'create-stream'> = {
  failure: 'Failed to replicate partition',

  check(state, { stream }) {
    if (state.streams.has(stream.name)) {
      return rejected('ALREADY_EXISTS', 'stream already exists')
    }
    return checkNewStream(stream)
  },

  apply(state, { stream }, index) {
    state.putStream({
      name: stream.name,
      incarnation: index,
      creationTimestampNs: stream.creationTimestampNs,
      subject: stream.subject,
      group: stream.group,
      replicationFactor: stream.replicationFactor,
      partitions: stream.partitions
        .map((partition) => partitionState(partition, index))
        .toSorted((a, b) => a.id - b.id),
      config: stream.config,
      resumeAll: false,
    })
    return { streams: [stream.name] }
  },
}

/**
 * What every server must be able to rely on, whoever proposed the stream: Go Liftbridge panics on
 * all servers, and again at each restart, when one of these does not hold [D-14, LB 3.6.1].
 */
const checkNewStream = (stream: NewStream): Check => {
  const name = checkStreamName(stream.name)
  if (name.kind === 'rejected') return name
  const group = checkQueueGroup(stream.group)
  if (group.kind === 'rejected') return group
  if (stream.partitions.length === 0) {
    return rejected('INVALID_ARGUMENT', 'no partitions provided')
  }
  const ids = new Set<number>()
  for (const partition of stream.partitions) {
    const check = checkNewPartition(stream, partition)
    if (check.kind === 'rejected') return check
    ids.add(partition.id)
  }
  if (ids.size < stream.partitions.length) {
    return rejected('INVALID_ARGUMENT', 'partition listed twice')
  }
  return OK
}

const checkNewPartition = (stream: NewStream, partition: NewPartition): Check => {
  const { id, replicas, isr, leader } = partition
  // With this bound and no repeats the ids are exactly 0 .. n-1.
  if (!Number.isInteger(id) || id < 0 || id >= stream.partitions.length) {
    return rejected('INVALID_ARGUMENT', `Invalid partition ${id}`)
  }
  if (!isSubject(partitionSubject(stream.subject, id))) {
    return rejected('INVALID_ARGUMENT', 'Subject is invalid')
  }
  const assigned = new Set(replicas)
  const sound =
    assigned.size === replicas.length &&
    new Set(isr).size === isr.length &&
    isr.every((replica) => assigned.has(replica)) &&
    isr.includes(leader)
  return sound ? OK : rejected('INVALID_ARGUMENT', `Invalid replicas of partition ${id}`)
}

const partitionState = (partition: NewPartition, index: LogIndex): PartitionState => ({
  id: partition.id,
  replicas: partition.replicas,
  isr: partition.isr,
  leader: partition.leader,
  leaderEpoch: index,
  epoch: index,
  paused: false,
  readonly: false,
  pauseTimestamps: NEVER,
  readonlyTimestamps: NEVER,
})
