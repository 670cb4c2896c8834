import { stamped } from '../state.ts'
import { changePartitions, changeStream, checkPartitions, type Rules } from './rules.ts'

/** Sets or clears the readonly flag of partitions, of all when none is named. Survives pauses [D-07]. */
export const setStreamReadonly: Rules<'set-stream-readonly'> = {
  failure: 'Failed to set stream readonly flag',

  check: (state, { stream, partitions }) => checkPartitions(state, stream, partitions),

  apply(state, { stream, partitions, readonly, timestampNs }) {
    const ids = partitions.length === 0 ? undefined : partitions
    return changeStream(state, stream, (old) =>
      changePartitions(old, ids, (partition) => ({
        ...partition,
        readonly,
        readonlyTimestamps: stamped(partition.readonlyTimestamps, timestampNs),
      })),
    )
  },
}
