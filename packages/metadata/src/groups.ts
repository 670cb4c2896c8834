import type { NewMember } from './operation.ts'
import type { Assignment, GroupState, MemberState, MetadataView } from './state.ts'
import { compareUtf8 } from './text-order.ts'
import type { LogIndex } from './units.ts'

/**
 * Members of consumer groups and who reads what. All of it is a function of the operations
 * applied, and assignments are kept in snapshots: Go Liftbridge works them out again from members
 * in random order, so that one epoch can have two answers [D-28].
 */

/** Members after `member` has joined: each stream it reads is dealt out afresh. */
export const withMember = (
  state: MetadataView,
  members: readonly MemberState[],
  member: NewMember,
): readonly MemberState[] => {
  const streams = [...new Set(member.streams)].toSorted(compareUtf8)
  const joined = [...members, { id: member.id, streams, assignments: [] }]
  return dealStreams(state, joined, streams)
}

/** Members after one has left: each stream of which it held a partition is dealt out afresh. */
export const withoutMember = (
  state: MetadataView,
  members: readonly MemberState[],
  id: string,
): readonly MemberState[] => {
  const gone = members.find((member) => member.id === id)
  const left = members.filter((member) => member.id !== id)
  return dealStreams(state, left, gone?.assignments.map(({ stream }) => stream) ?? [])
}

/**
 * The groups that a stream's deletion changes. Its readers drop it, and what else they read is
 * dealt out again, since their shares have shrunk.
 */
export const groupsWithoutStream = (
  state: MetadataView,
  stream: string,
  index: LogIndex,
): readonly GroupState[] => {
  const changed: GroupState[] = []
  for (const group of state.groups.values()) {
    const readers = group.members.filter((member) => member.streams.includes(stream))
    if (readers.length === 0) continue
    const others = new Set(readers.flatMap((member) => member.streams))
    others.delete(stream)
    const members = group.members.map((member) => withoutStream(member, stream))
    changed.push({
      ...group,
      members: dealStreams(state, members, [...others].toSorted(compareUtf8)),
      epoch: index,
    })
  }
  return changed
}

const withoutStream = (member: MemberState, stream: string): MemberState => ({
  ...member,
  streams: member.streams.filter((name) => name !== stream),
  assignments: member.assignments.filter((assignment) => assignment.stream !== stream),
})

/** Deals the given streams out one after the other, in ascending order. */
const dealStreams = (
  state: MetadataView,
  members: readonly MemberState[],
  ascendingStreams: readonly string[],
): readonly MemberState[] => {
  let dealt = members
  for (const stream of ascendingStreams) {
    dealt = dealStream(dealt, stream, state.streams.get(stream)?.partitions.length ?? 0)
  }
  return dealt
}

/**
 * Gives each partition to the reader that holds least over all its streams, ties to the smaller
 * id by bytes: the order in which Go Liftbridge's heap yields them [LB 4.7].
 */
const dealStream = (
  members: readonly MemberState[],
  stream: string,
  partitionCount: number,
): readonly MemberState[] => {
  const readers = members
    .filter((member) => member.streams.includes(stream))
    .map((member) => ({ id: member.id, held: heldElsewhere(member, stream), hand: [] as number[] }))
    .toSorted((a, b) => compareUtf8(a.id, b.id))
  const first = readers[0]
  if (first === undefined) return members
  for (let partition = 0; partition < partitionCount; partition += 1) {
    let least = first
    for (const reader of readers) if (reader.held < least.held) least = reader
    least.held += 1
    least.hand.push(partition)
  }
  const hands = new Map(readers.map(({ id, hand }) => [id, hand]))
  return members.map((member) => withHand(member, stream, hands.get(member.id)))
}

const heldElsewhere = (member: MemberState, stream: string): number => {
  let held = 0
  for (const assignment of member.assignments) {
    if (assignment.stream !== stream) held += assignment.partitions.length
  }
  return held
}

const withHand = (
  member: MemberState,
  stream: string,
  partitions: readonly number[] | undefined,
): MemberState => {
  if (partitions === undefined) return member
  const others = member.assignments.filter((assignment) => assignment.stream !== stream)
  const hand: Assignment[] = partitions.length === 0 ? [] : [{ stream, partitions }]
  return {
    ...member,
    assignments: [...others, ...hand].toSorted((a, b) => compareUtf8(a.stream, b.stream)),
  }
}
