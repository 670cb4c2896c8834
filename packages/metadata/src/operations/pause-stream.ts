import { stamped } from '../state.ts'
import { changePartitions, changeStream, checkPartitions, type Rules } from './rules.ts'

/** Pauses partitions, all of them when none is named. Pausing what is paused is fine. */
export const pauseStream: Rules<'pause-stream'> = {
  failure: 'Failed to pause stream',

  check: (state, { stream, partitions }) => checkPartitions(state, stream, partitions),

  apply(state, { stream, partitions, resumeAll, timestampNs }) {
    const ids = partitions.length === 0 ? undefined : partitions
    return changeStream(state, stream, (old) => ({
      ...changePartitions(old, ids, (partition) => ({
        ...partition,
        paused: true,
        pauseTimestamps: stamped(partition.pauseTimestamps, timestampNs),
      })),
      // The last pause wins, an automatic one included [LB 4.10].
      resumeAll,
    }))
  },
}
