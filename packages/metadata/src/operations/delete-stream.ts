import { groupsWithoutStream } from '../groups.ts'
import { findStream, type Rules } from './rules.ts'

/**
 * Deletes a stream. Its consumer groups lose it, and are balanced again, in the same step and
 * under this index: Go Liftbridge tells them later, in an order that differs between servers, so
 * that dead assignments stay and epochs disagree [D-27].
 */
export const deleteStream: Rules<'delete-stream'> = {
  failure: 'Failed to delete stream',

  check: (state, { stream }) => findStream(state, stream),

  apply(state, { stream: name }, index) {
    const stream = state.streams.get(name)
    if (stream === undefined) return { streams: [] }
    state.removeStream(name)
    for (const group of groupsWithoutStream(state, name, index)) state.putGroup(group)
    const { incarnation, creationTimestampNs } = stream
    return { streams: [name], deleted: [{ name, incarnation, creationTimestampNs }] }
  },
}
