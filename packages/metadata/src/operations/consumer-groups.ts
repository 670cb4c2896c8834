import { withMember, withoutMember } from '../groups.ts'
import { checkConsumerId } from '../names.ts'
import { OK, rejected, type Check } from '../rejection.ts'
import type { MemberState, MetadataView } from '../state.ts'
import type { Rules } from './rules.ts'

const NO_GROUP = rejected('NOT_FOUND', 'consumer group does not exist')

/** Creates a group with its first members. Refusals carry the status that a join answers with. */
export const createConsumerGroup: Rules<'create-consumer-group'> = {
  failure: 'Failed to create consumer group',

  check(state, { group }) {
    const id = checkConsumerId(group.id, 'groupId')
    if (id.kind === 'rejected') return id
    if (state.groups.has(group.id)) {
      return rejected('FAILED_PRECONDITION', 'consumer group already exists')
    }
    const seen = new Set<string>()
    for (const member of group.members) {
      const check = checkNewMember(state, member.id, member.streams)
      if (check.kind === 'rejected') return check
      if (seen.has(member.id)) return ALREADY_MEMBER
      seen.add(member.id)
    }
    return OK
  },

  apply(state, { group }) {
    let members: readonly MemberState[] = []
    for (const member of group.members) members = withMember(state, members, member)
    const { id, coordinator, epoch } = group
    state.putGroup({ id, members, coordinator, epoch })
    return { streams: [], group: { coordinator, epoch } }
  },
}

const ALREADY_MEMBER = rejected(
  'FAILED_PRECONDITION',
  'consumer is already a member of the consumer group',
)

export const joinConsumerGroup: Rules<'join-consumer-group'> = {
  failure: 'Failed to join consumer group',

  check(state, { groupId, consumerId, streams }) {
    const group = state.groups.get(groupId)
    if (group === undefined) return NO_GROUP
    if (group.members.some(({ id }) => id === consumerId)) return ALREADY_MEMBER
    return checkNewMember(state, consumerId, streams)
  },

  apply(state, { groupId, consumerId, streams }, index) {
    const group = state.groups.get(groupId)
    if (group === undefined) return { streams: [] }
    const members = withMember(state, group.members, { id: consumerId, streams })
    state.putGroup({ ...group, members, epoch: index })
    return { streams: [], group: { coordinator: group.coordinator, epoch: index } }
  },
}

/** The last member to leave takes the group with it. */
export const leaveConsumerGroup: Rules<'leave-consumer-group'> = {
  // Go Liftbridge answers a failed leave with this text, copied from another operation; clients read it.
  failure: 'Failed to set stream readonly flag',

  check(state, { groupId, consumerId }) {
    const group = state.groups.get(groupId)
    if (group === undefined) return NO_GROUP
    return group.members.some(({ id }) => id === consumerId)
      ? OK
      : rejected('FAILED_PRECONDITION', 'consumer is not a member of the consumer group')
  },

  apply(state, { groupId, consumerId }, index) {
    const group = state.groups.get(groupId)
    if (group === undefined) return { streams: [] }
    const members = withoutMember(state, group.members, consumerId)
    if (members.length === 0) state.removeGroup(groupId)
    else state.putGroup({ ...group, members, epoch: index })
    return { streams: [] }
  },
}

/** Moves a group to another coordinator, fenced by the epoch under which it was decided. */
export const changeConsumerGroupCoordinator: Rules<'change-consumer-group-coordinator'> = {
  failure: 'Failed to replicate coordinator change',

  check(state, { groupId, coordinator, groupEpoch }) {
    const group = state.groups.get(groupId)
    if (group === undefined) return NO_GROUP
    if (coordinator === '') return rejected('INVALID_ARGUMENT', 'No coordinator provided')
    return groupEpoch === 0 || groupEpoch === group.epoch
      ? OK
      : rejected(
          'FAILED_PRECONDITION',
          `Coordinator generation mismatch, current coordinator: ${group.coordinator} ` +
            `epoch: ${group.epoch}, got coordinator: ${coordinator} epoch: ${groupEpoch}`,
        )
  },

  apply(state, { groupId, coordinator }, index) {
    const group = state.groups.get(groupId)
    if (group === undefined) return { streams: [] }
    state.putGroup({ ...group, coordinator, epoch: index })
    return { streams: [], group: { coordinator, epoch: index } }
  },
}

const checkNewMember = (state: MetadataView, id: string, streams: readonly string[]): Check => {
  const check = checkConsumerId(id, 'consumerId')
  if (check.kind === 'rejected') return check
  if (streams.length === 0) return rejected('INVALID_ARGUMENT', 'No streams provided')
  return streams.every((name) => state.streams.has(name))
    ? OK
    : rejected('FAILED_PRECONDITION', 'stream does not exist')
}
