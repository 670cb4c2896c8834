import { OK } from '../rejection.ts'
import type { Rules } from './rules.ts'

/** Notes up to where the activity stream is complete. A late repeat does not move it back. */
export const publishActivity: Rules<'publish-activity'> = {
  failure: 'Failed to commit the published activity',

  check: () => OK,

  apply(state, { activityIndex }) {
    state.lastPublishedActivityIndex = Math.max(state.lastPublishedActivityIndex, activityIndex)
    return { streams: [] }
  },
}
