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

/** What has to be known of a replica. */
type Replica = {
  readonly machine: { readonly name: string }
  readonly partition: string
  readonly running: { readonly log: { readonly oldestOffset: number } }
}

/** What the line of a server's log says, beside what its leader has at this moment. */
export function beganAnew(
  cluster: Cluster,
  server: string,
  fields: LogFields | undefined,
): BeganAnew {
  return beganAnewAmong([...replicasIn(cluster)], server, fields)
}

export function beganAnewAmong(
  running: readonly Replica[],
  server: string,
  fields: LogFields | undefined,
): BeganAnew {
  const name = `${String(fields?.stream)}/${String(fields?.partition)} `
  const replicas = running.filter(({ partition }) => partition.startsWith(name))
  const on = (machine: unknown): Replica | undefined =>
    replicas.find((replica) => replica.machine.name === machine)
  // A server that starts copies before it lets anybody see what it runs.
  const own = on(server)
  const named = on(fields?.leader)
  const leader = own === undefined || named?.partition === own.partition ? named : undefined
  return {
    server,
    partition: own?.partition ?? named?.partition ?? name.trim(),
    to: Number(fields?.to),
    // One that went down meanwhile is no witness against it.
    leaderOldest: leader?.running.log.oldestOffset ?? Infinity,
  }
}
