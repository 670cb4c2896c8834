import {
  literalSubjectProblem,
  subjectMatches,
  subjectProblem,
  subjectsOverlap,
  type SubjectProblem,
} from './subject-syntax.ts'

/** Default of `clustering.namespace`. */
export const DEFAULT_NAMESPACE = 'liftbridge-default'

/**
 * Every NATS subject of a cluster, all below its namespace [LB 0.3, control plane 1.3]. Streams'
 * own subjects are the clients' choice, see `partitionSubject` and `streamSubjectProblem`.
 *
 *     subject                              subscribed by           type of message
 *     <ns>.<stream>.<partition>.replicate  partition leader        2 -> 3
 *     <ns>.<stream>.<partition>.offset     partition leader        6 -> 7
 *     <ns>.notify.<server>                 that server             14, no reply
 *     <ns>.ack.<nuid>                      server of a publisher   1
 *     <ns>.activity                        leader of __activity    0
 *     <ns>.cursors, <ns>.cursors.<n>       leaders of __cursors    0
 *     <ns>.raft.metadata.<server>.accept   that server             JSON: dials a Raft stream
 *     <ns>.raft.metadata.<server>.request._INBOX.<nuid>            bytes of a Raft stream
 *     <ns>.raft.metadata.join              every server            4 -> 5, only the leader replies
 *     <ns>.raft.metadata.bootstrap         bootstrap seeds         server id -> server id
 *     <ns>.raft.metadata.bootstrap.reply   bootstrap seeds         server id
 *     <ns>.raft.metadata.propagate         metadata leader         8 -> 9
 *     <ns>.raft.metadata.info              every server            10 -> 11 on fetch.<nuid>
 *     <ns>.raft.metadata.fetch.<nuid>      server that asks        11
 *     <ns>.raft.metadata.status.<server>   that server             12 -> 13
 *     <ns>.raft.metadata.claim.<server>    that server             text -> text; not in Go Liftbridge
 */
export class ClusterSubjects {
  readonly namespace: string
  readonly activity: string
  /** Subject of the stream `__cursors`; its partitions follow `partitionSubject`. */
  readonly cursors: string
  readonly raftJoin: string
  readonly raftBootstrap: string
  readonly raftBootstrapReply: string
  readonly propagate: string
  readonly serverInfo: string
  readonly #raft: string

  /** `namespace` has been validated: a literal subject. */
  constructor(namespace: string) {
    this.namespace = namespace
    this.activity = `${namespace}.activity`
    this.cursors = `${namespace}.cursors`
    this.#raft = `${namespace}.raft.metadata`
    this.raftJoin = `${this.#raft}.join`
    this.raftBootstrap = `${this.#raft}.bootstrap`
    this.raftBootstrapReply = `${this.#raft}.bootstrap.reply`
    this.propagate = `${this.#raft}.propagate`
    this.serverInfo = `${this.#raft}.info`
  }

  replicate(stream: string, partition: number): string {
    return `${this.namespace}.${stream}.${partition}.replicate`
  }

  leaderEpochOffset(stream: string, partition: number): string {
    return `${this.namespace}.${stream}.${partition}.offset`
  }

  notify(serverId: string): string {
    return `${this.namespace}.notify.${serverId}`
  }

  ackInbox(nuid: string): string {
    return `${this.namespace}.ack.${nuid}`
  }

  serverInfoInbox(nuid: string): string {
    return `${this.#raft}.fetch.${nuid}`
  }

  partitionStatus(serverId: string): string {
    return `${this.#raft}.status.${serverId}`
  }

  serverClaim(serverId: string): string {
    return `${this.#raft}.claim.${serverId}`
  }

  raftAccept(serverId: string): string {
    return `${this.#raft}.${serverId}.accept`
  }

  raftStream(serverId: string, nuid: string): string {
    return `${this.#raft}.${serverId}.request._INBOX.${nuid}`
  }

  /** Whether a literal subject is where some server of this cluster listens for a Raft stream. */
  isRaftStream(subject: string): boolean {
    return subjectMatches(`${this.#raft}.*.request.>`, subject)
  }
}

/** Where messages for a partition are published: the stream's subject `S` for 0, else `S.<n>`. */
export function partitionSubject(streamSubject: string, partition: number): string {
  return partition === 0 ? streamSubject : `${streamSubject}.${partition}`
}

export type ChosenSubjectProblem =
  | SubjectProblem
  | 'reserved for the servers'
  | 'a subject ending in ">" cannot have several partitions'

/**
 * What keeps a client from binding a stream to `subject` [A4]: it must be a subject, and no
 * partition of it may hear what servers say to each other, NATS' own subjects or others' replies.
 */
export function streamSubjectProblem(
  namespace: string,
  subject: string,
  partitions: number,
): ChosenSubjectProblem | undefined {
  const problem = subjectProblem(subject)
  if (problem !== undefined) return problem
  if (overlapsReserved(namespace, subject) || subjectsOverlap(subject, '_INBOX.>')) {
    return 'reserved for the servers'
  }
  if (partitions <= 1) return undefined
  if (subject === '>' || subject.endsWith('.>')) {
    return 'a subject ending in ">" cannot have several partitions'
  }
  // The number of the partition is never compared with anything but a wildcard, so one stands for all.
  const numbered = partitionSubject(subject, 1)
  if (overlapsReserved(namespace, numbered) || subjectsOverlap(numbered, '_INBOX.>')) {
    return 'reserved for the servers'
  }
  return subjectProblem(partitionSubject(subject, partitions - 1))
}

/**
 * What keeps a server from sending to a subject that a client names: an ack inbox, or the target
 * of PublishToSubject [A4]. Inboxes of NATS (`_INBOX.…`) are fine: that is where acks go.
 */
export function targetSubjectProblem(
  namespace: string,
  subject: string,
): ChosenSubjectProblem | undefined {
  const problem = literalSubjectProblem(subject)
  if (problem !== undefined) return problem
  return overlapsReserved(namespace, subject) ? 'reserved for the servers' : undefined
}

/** Whether `subject`, wildcards counted, can reach `<ns>.>`, `$SYS.>` or `$JS.>` [A4]. */
export function overlapsReserved(namespace: string, subject: string): boolean {
  return (
    subjectsOverlap(subject, `${namespace}.>`) ||
    subjectsOverlap(subject, '$SYS.>') ||
    subjectsOverlap(subject, '$JS.>')
  )
}
