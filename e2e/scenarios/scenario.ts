/** Scripted troubles of a cluster under load, each bounded in time, each with what it demands. */
import type { ClusterProcess, Member, PartitionView } from '../cluster/cluster-process.ts'
import { ReplicatedLoad, type ReplicatedLoadOptions } from '../cluster/replicated-load.ts'
import { until } from '../child.ts'
import type { Random } from '../random.ts'
import { expectNone, type Skipped, thousands } from '../report.ts'

export type Scenario = {
  readonly name: string
  /** What must hold beside the history, in a sentence. */
  readonly demands: string
  /** Resolves with figures, or with why it cannot be tried here. */
  readonly run: (random: Random) => Promise<string | Skipped>
}

const RATE_PER_SECOND = 3_000
const HEALED_WITHIN_MS = 45_000
const LEADER_WITHIN_MS = 30_000

/**
 * A cluster under load while `trouble` happens; afterwards it must heal by itself, acknowledge
 * again, and hold on every replica what it has acknowledged.
 */
export async function underLoad(
  trouble: (load: ReplicatedLoad) => Promise<string>,
  options: Partial<ReplicatedLoadOptions> = {},
): Promise<string> {
  const load = await ReplicatedLoad.start({
    servers: 3,
    ratePerSecond: RATE_PER_SECOND,
    ...options,
  })
  try {
    load.begin()
    await load.firstAck()
    const figures = await trouble(load)
    const began = performance.now()
    if (!(await load.cluster.healed(load.replicas, HEALED_WITHIN_MS))) throw new Error('not healed')
    const healedMs = performance.now() - began
    await load.firstAck()
    await load.end()
    const { anomalies, figures: read } = await load.verify()
    expectNone(anomalies, read)
    return `${figures}; in sync after ${thousands(healedMs)} ms; ${read}`
  } catch (error) {
    throw new Error(`${String(error)}\n${load.cluster.output}`, { cause: error })
  } finally {
    await load.remove()
  }
}

/** The state of a partition as soon as a server tells one that `isSo`; rejects when none does. */
export async function partitionOnce(
  cluster: ClusterProcess,
  partition: number,
  isSo: (state: PartitionView) => boolean,
): Promise<PartitionView> {
  let found: PartitionView | undefined
  const inTime = await until(async () => {
    const view = (await cluster.view()) ?? []
    found = view.find((state) => state.partition === partition && isSo(state))
    return found !== undefined
  }, LEADER_WITHIN_MS)
  if (found !== undefined && inTime) return found
  throw new Error(`partition ${partition} does not come to that: ${isSo.toString()}`)
}

/** Leader and followers of a partition. */
export async function rolesOf(
  { cluster }: ReplicatedLoad,
  partition: number,
): Promise<{ readonly leader: Member; readonly followers: readonly Member[] }> {
  const { leader, replicas } = await partitionOnce(
    cluster,
    partition,
    ({ leader: id }) => id !== '' && cluster.member(id).up,
  )
  return {
    leader: cluster.member(leader),
    followers: replicas.filter((id) => id !== leader).map((id) => cluster.member(id)),
  }
}

/** Kills a server, and tells the load of it. */
export async function kill(load: ReplicatedLoad, member: Member): Promise<void> {
  load.hit(member)
  await load.cluster.kill(member)
}

/** The two followers; throws when there are not two. */
export function pair(followers: readonly Member[]): readonly [Member, Member] {
  const [first, second] = followers
  if (first === undefined || second === undefined) throw new Error('not two followers')
  return [first, second]
}
