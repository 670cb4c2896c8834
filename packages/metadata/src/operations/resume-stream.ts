import { stamped } from '../state.ts'
import { changePartitions, changeStream, checkPartitions, type Rules } from './rules.ts'

/**
 * Resumes the partitions named that are paused. Go Liftbridge never clears `paused` in the
 * metadata and clears `resumeAll` on one server only [D-08, D-30].
 */
export const resumeStream: Rules<'resume-stream'> = {
  failure: 'Failed to resume stream',

  check: (state, { stream, partitions }) => checkPartitions(state, stream, partitions),

  apply(state, { stream, partitions, timestampNs }) {
    return changeStream(state, stream, (old) => {
      const resumed = changePartitions(old, partitions, (partition) =>
        partition.paused
          ? {
              ...partition,
              paused: false,
              pauseTimestamps: stamped(partition.pauseTimestamps, timestampNs),
            }
          : partition,
      )
      const anyPaused = resumed.partitions.some(({ paused }) => paused)
      return { ...resumed, resumeAll: resumed.resumeAll && anyPaused }
    })
  },
}
