export {
  describeFollowerInput,
  describeFollowerOutput,
  describeLeaderInput,
  describeLeaderOutput,
} from './describe.ts'
export { endOfEpoch, latestEpoch, type EpochEnd, type EpochStart } from './epochs.ts'
export { PartitionFollower, type FollowerPhase, type FollowerState } from './follower.ts'
export type * from './follower-types.ts'
export { PartitionLeader, type LeaderState } from './leader.ts'
export type * from './leader-types.ts'
export { decideLeadership, type LeadershipDecision, type LeadershipQuestion } from './leadership.ts'
export type * from './units.ts'
export { NO_OFFSET } from './units.ts'
