export { PartitionLeader } from './leader.ts'
export type { LeaderInput, LeaderOptions, LeaderOutput, SyncPolicy } from './leader.ts'
