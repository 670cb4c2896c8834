/**
 * A replica that was away for longer than its leader keeps records removes all of its own, and goes
 * on where the leader's log begins. Its server tells before it does so.
 */
import type { LogFields } from '@liftbridge/server'
import type { Cluster } from '../cluster/cluster.ts'
import { replicasIn } from './replicas-now.ts'

export interface BeganAnew {
  readonly server: string
  /** As `ReplicaNow` names it. */
  readonly partition: string
  /** The last offset of what is given up. */
  readonly to: number
  /** The first offset that its leader has; infinite when that one does not run any more. */
  readonly leaderOldest: number
}

export function tellsOfBeginningAnew(message: string): boolean {
  return message.includes('records older than all that the leader kept were removed')
}

/** What the line of a server's log says, beside what its leader has at this moment. */
export function beganAnew(
  cluster: Cluster,
  server: string,
  fields: LogFields | undefined,
): BeganAnew {
  const name = `${String(fields?.stream)}/${String(fields?.partition)} `
  const replicas = [...replicasIn(cluster)].filter(({ partition }) => partition.startsWith(name))
  const own = replicas.find(({ machine }) => machine.name === server)
  const leader = replicas.find(
    ({ machine, partition }) => machine.name === fields?.leader && partition === own?.partition,
  )
  return {
    server,
    partition: own?.partition ?? name.trim(),
    to: Number(fields?.to),
    // One that went down meanwhile is no witness against it.
    leaderOldest: leader?.running.log.oldestOffset ?? Infinity,
  }
}
