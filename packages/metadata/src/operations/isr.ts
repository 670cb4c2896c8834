import type { IsrChange, OperationKind, PartitionRef } from '../operation.ts'
import { OK, rejected, type Check } from '../rejection.ts'
import type { MetadataState, MetadataView, PartitionState } from '../state.ts'
import type { LogIndex } from '../units.ts'
import { changePartitions, changeStream, findPartition, type Rules } from './rules.ts'

/** Removes a replica from the ISR, under the leadership that decided it [R7, D-23, D-24]. */
export const shrinkIsr: Rules<'shrink-isr'> = {
  failure: 'Failed to shrink ISR',

  check(state, change) {
    const check = checkIsrChange(state, change)
    if (check.kind === 'rejected') return check
    // A leader that leaves the ISR would commit without holding the data itself [LB 3.6.2].
    return change.replica === change.leader
      ? rejected('FAILED_PRECONDITION', `The leader cannot leave the ISR ${nameOf(change)}`)
      : OK
  },

  apply: (state, change, index) =>
    changeIsr(state, change, index, (isr) => isr.filter((id) => id !== change.replica)),
}

/** Adds a replica to the ISR again, under the leadership that saw it caught up [R7]. */
export const expandIsr: Rules<'expand-isr'> = {
  failure: 'Failed to expand ISR',

  check: (state, change) => checkIsrChange(state, change),

  apply: (state, change, index) =>
    changeIsr(state, change, index, (isr) =>
      isr.includes(change.replica) ? isr : [...isr, change.replica],
    ),
}

/** Installs a partition leader out of the ISR; the index is its leader epoch. */
export const changeLeader: Rules<'change-leader'> = {
  failure: 'Failed to replicate leader change',

  check(state, change) {
    const found = findPartition(state, change)
    if (found.kind === 'rejected') return found
    const fence = checkPartitionEpoch(found.partition, change)
    if (fence.kind === 'rejected') return fence
    // An election that raced with a shrink would pick a replica without the committed data [D-24].
    return found.partition.isr.includes(change.leader)
      ? OK
      : rejected('FAILED_PRECONDITION', `Not in the ISR: ${change.leader} ${nameOf(change)}`)
  },

  apply: (state, { stream, partition: id, leader }, index) => ({
    ...changeStream(state, stream, (old) =>
      changePartitions(old, [id], (partition) => ({
        ...partition,
        leader,
        leaderEpoch: index,
        epoch: index,
      })),
    ),
    partitions: [id],
  }),
}

const checkIsrChange = (state: MetadataView, change: IsrChange): Check => {
  const found = findPartition(state, change)
  if (found.kind === 'rejected') return found
  const { leader, leaderEpoch, replicas } = found.partition
  if (leader !== change.leader || leaderEpoch !== change.leaderEpoch) {
    return rejected(
      'FAILED_PRECONDITION',
      `Leader generation mismatch, current leader: ${leader} epoch: ${leaderEpoch}, ` +
        `got leader: ${change.leader} epoch: ${change.leaderEpoch}`,
    )
  }
  const fence = checkPartitionEpoch(found.partition, change)
  if (fence.kind === 'rejected') return fence
  return replicas.includes(change.replica)
    ? OK
    : rejected('FAILED_PRECONDITION', `No such replica ${change.replica} ${nameOf(change)}`)
}

const checkPartitionEpoch = (
  partition: PartitionState,
  change: PartitionRef & { readonly partitionEpoch: LogIndex },
): Check =>
  change.partitionEpoch === 0 || change.partitionEpoch === partition.epoch
    ? OK
    : rejected(
        'FAILED_PRECONDITION',
        `Partition epoch mismatch, current epoch: ${partition.epoch}, ` +
          `got epoch: ${change.partitionEpoch}`,
      )

const changeIsr = (
  state: MetadataState,
  ref: PartitionRef,
  index: LogIndex,
  change: (isr: PartitionState['isr']) => PartitionState['isr'],
): ReturnType<Rules<OperationKind>['apply']> => ({
  ...changeStream(state, ref.stream, (old) =>
    changePartitions(old, [ref.partition], (partition) => ({
      ...partition,
      isr: change(partition.isr),
      epoch: index,
    })),
  ),
  partitions: [ref.partition],
})

const nameOf = (ref: PartitionRef): string => `[stream=${ref.stream}, partition=${ref.partition}]`
