/**
 * One server of the model: it owns a log and the core of the role that its metadata names, and
 * carries out what the core says, in order. What takes time is asked of the `NodePort`.
 */
import assert from 'node:assert/strict'
import { PartitionFollower } from '../follower.ts'
import type { FollowerInput, FollowerOutput } from '../follower-types.ts'
import { PartitionLeader } from '../leader.ts'
import type { FetchAnswer, LeaderInput, LeaderOutput } from '../leader-types.ts'
import { decideLeadership } from '../leadership.ts'
import type { ServerId, SyncPolicy } from '../units.ts'
import type { PartitionMetadata } from './model-controller.suite.ts'
import { ModelLog, type ModelRecord } from './model-log.suite.ts'

export type Message =
  | {
      readonly kind: 'ask'
      readonly requestId: number
      readonly leaderEpoch: number
      readonly epoch: number
    }
  | {
      readonly kind: 'epoch-answer'
      readonly requestId: number
      readonly leaderEpoch: number
      readonly epoch: number
      readonly endOffset: number
    }
  | {
      readonly kind: 'fetch'
      readonly requestId: number
      readonly leaderEpoch: number
      readonly offset: number
      readonly syncedOffset: number
      readonly incarnation: number
      readonly maxWaitMs: number
    }
  | {
      readonly kind: 'fetched'
      readonly requestId: number
      readonly leaderEpoch: number
      readonly highWatermark: number
      readonly firstOffset: number
      readonly records: readonly ModelRecord[]
      readonly newestOffset: number
    }

export interface NodePort {
  now(): number
  send(from: ServerId, to: ServerId, message: Message): void
  /** Calls back when a sync that starts now would be finished. */
  afterSync(done: () => void): void
  propose(node: ModelNode, proposal: NonNullable<LeaderOutput['propose']>): void
  report(node: ModelNode): void
  /** The node may not lead as it was told to. */
  decline(node: ModelNode, why: 'renew' | 'replace'): void
  onAcked(node: ModelNode, through: number): void
  onHighWatermark(node: ModelNode): void
  onAppended(node: ModelNode, offset: number): void
  onLeading(node: ModelNode): void
}

export type NodeSettings = {
  readonly syncPolicy: SyncPolicy
  readonly minIsr: number
  readonly replicas: readonly ServerId[]
  readonly maxBatch: number
  readonly maxLagMs: number
  readonly maxLeaderTimeoutMs: number
}

export class ModelNode {
  readonly id: ServerId
  readonly log = new ModelLog()
  readonly #settings: NodeSettings
  readonly #port: NodePort
  isUp = false
  incarnation = 0
  proven = true
  /** Index into the controller's history. */
  applied = 0
  metadata: PartitionMetadata | undefined
  /** The newest partition epoch applied by this and by earlier runs. */
  #known = -1
  #knownAtStart = -1
  leader: PartitionLeader | undefined
  follower: PartitionFollower | undefined
  fault: FollowerOutput['fault']
  #syncing = false
  #syncAgain = false
  #nextToken = 1
  readonly #fetches = new Map<number, { readonly from: ServerId; readonly requestId: number }>()

  constructor(id: ServerId, settings: NodeSettings, port: NodePort) {
    this.id = id
    this.#settings = settings
    this.#port = port
  }

  /** The process begins, on what is left of its log. */
  start(metadata: PartitionMetadata, applied: number): void {
    this.isUp = true
    this.incarnation += 1
    this.metadata = metadata
    this.applied = applied
    this.#knownAtStart = this.#known
    this.#known = Math.max(this.#known, metadata.partitionEpoch)
    this.#takeRole()
  }

  /** The process ends; nothing is said to anybody. */
  stop(): void {
    this.isUp = false
    this.#dropRole()
    this.#syncing = false
    this.#syncAgain = false
  }

  apply(metadata: PartitionMetadata, index: number): void {
    const old = this.metadata
    this.metadata = metadata
    this.applied = index
    this.#known = Math.max(this.#known, metadata.partitionEpoch)
    if (old?.leaderEpoch !== metadata.leaderEpoch) this.#takeRole()
    else if (this.leader !== undefined) {
      this.#lead({ kind: 'metadata', ...metadata, now: this.#port.now() })
    } else if (metadata.leader === this.id) this.#takeRole()
  }

  #dropRole(): void {
    this.proven = this.isProven
    this.leader = undefined
    this.follower = undefined
    this.#fetches.clear()
  }

  #takeRole(): void {
    this.#dropRole()
    const { metadata, log } = this
    if (metadata === undefined || this.fault !== undefined) return
    const { leaderEpoch, isr } = metadata
    if (metadata.leader !== this.id) {
      this.#beginFollowing(metadata)
      return
    }
    const decision = decideLeadership({
      serverId: this.id,
      replicas: this.#settings.replicas,
      isr,
      leaderEpoch,
      latestEpoch: log.latestEpoch,
      knownAtStart: this.#knownAtStart,
      continues: false,
      proven: this.proven,
    })
    if (decision === 'lead') this.#beginLeading(metadata)
    else if (decision === 'epoch-in-use') this.#port.decline(this, 'renew')
    else if (decision === 'unproven') this.#port.decline(this, 'replace')
  }

  #beginLeading(metadata: PartitionMetadata): void {
    const { log } = this
    const { syncPolicy, minIsr, replicas, maxLagMs } = this.#settings
    // Durable before the epoch is noted: or a crash could take the note along with the tail.
    log.syncedOffset = log.newestOffset
    log.beginEpoch(metadata.leaderEpoch)
    this.leader = new PartitionLeader({
      syncPolicy,
      minIsr,
      newestOffset: log.newestOffset,
      syncedOffset: log.syncedOffset,
      highWatermark: log.highWatermark,
      replication: {
        serverId: this.id,
        replicas,
        ...metadata,
        maxLagMs,
        proposalRetryMs: 100,
        isolatedAfterMs: 500,
        highWatermarkDelayMs: 5,
        now: this.#port.now(),
      },
    })
    this.#port.onLeading(this)
  }

  #beginFollowing(metadata: PartitionMetadata): void {
    this.follower = new PartitionFollower({
      serverId: this.id,
      leaderId: metadata.leader,
      leaderEpoch: metadata.leaderEpoch,
      incarnation: this.incarnation,
      syncPolicy: this.#settings.syncPolicy,
      log: this.log.view,
      proven: this.proven,
      gaps: false,
      requestTimeoutMs: 200,
      maxWaitMs: 100,
      idleWaitMs: 300,
      retryMinMs: 10,
      retryMaxMs: 200,
      maxLeaderTimeoutMs: this.#settings.maxLeaderTimeoutMs,
      reportEveryMs: 100,
      now: this.#port.now(),
    })
    this.tick()
  }

  /** False while it may lack what it was counted for. */
  get isProven(): boolean {
    return this.follower?.proven ?? this.proven
  }

  get wakeAt(): number {
    return this.leader?.wakeAt ?? this.follower?.wakeAt ?? Number.POSITIVE_INFINITY
  }

  tick(): void {
    const now = this.#port.now()
    if (this.leader !== undefined) this.#lead({ kind: 'tick', now })
    if (this.follower !== undefined) this.#follow({ kind: 'tick', now }, [])
  }

  /** A client's record; undefined when this server does not take any. */
  publish(value: string): number | undefined {
    if (this.leader?.standing.kind !== 'leading' || this.metadata === undefined) return undefined
    const offset = this.log.append({ epoch: this.metadata.leaderEpoch, value })
    this.#port.onAppended(this, offset)
    this.#lead({ kind: 'written', newestOffset: offset, firstAllOffset: offset })
    return offset
  }

  isrAnswered(partitionEpoch: number, applied: boolean): void {
    const now = this.#port.now()
    if (this.leader !== undefined)
      this.#lead({ kind: 'isr-answered', partitionEpoch, applied, now })
  }

  receive(from: ServerId, message: Message): void {
    const now = this.#port.now()
    switch (message.kind) {
      case 'ask':
        return this.#answerEpoch(from, message)
      case 'fetch': {
        if (this.leader === undefined) return undefined
        const token = this.#nextToken++
        this.#fetches.set(token, { from, requestId: message.requestId })
        return this.#lead({ ...message, token, replicaId: from, now })
      }
      case 'epoch-answer':
        return this.#follow({ ...message, leaderId: from, now }, [])
      case 'fetched': {
        const { records, firstOffset } = message
        const first = records[0]
        const last = records.at(-1)
        const lastOffset = firstOffset + records.length - 1
        const summary =
          first === undefined || last === undefined
            ? undefined
            : { firstOffset, lastOffset, firstEpoch: first.epoch, lastEpoch: last.epoch }
        return this.#follow({ ...message, records: summary, now }, records)
      }
      default:
        return message satisfies never
    }
  }

  #answerEpoch(from: ServerId, { requestId, leaderEpoch, epoch }: Message & { kind: 'ask' }): void {
    const isLeading = this.leader !== undefined && this.leader.standing.kind !== 'fenced'
    if (!isLeading || leaderEpoch !== this.metadata?.leaderEpoch) return
    const end = this.log.endOf(epoch)
    this.#port.send(this.id, from, { kind: 'epoch-answer', requestId, leaderEpoch, ...end })
  }

  #lead(input: LeaderInput): void {
    const { leader } = this
    assert.ok(leader !== undefined)
    const output = leader.step(input)
    if (output.highWatermark >= 0) {
      this.log.raiseHighWatermark(output.highWatermark)
      this.#port.onHighWatermark(this)
    }
    if (output.ackAllThrough >= 0) this.#port.onAcked(this, output.ackAllThrough)
    if (output.syncNow) this.#requestSync()
    for (const answer of output.answers) this.#answerFetch(answer)
    if (output.propose !== undefined) this.#port.propose(this, output.propose)
  }

  #answerFetch(answer: FetchAnswer): void {
    const fetch = this.#fetches.get(answer.token)
    this.#fetches.delete(answer.token)
    if (fetch === undefined || answer.kind === 'refuse' || this.metadata === undefined) return
    const firstOffset = answer.kind === 'serve' ? answer.fromOffset : this.log.newestOffset + 1
    const records = this.log.records.slice(firstOffset, firstOffset + this.#settings.maxBatch)
    this.#port.send(this.id, fetch.from, {
      kind: 'fetched',
      requestId: fetch.requestId,
      leaderEpoch: this.metadata.leaderEpoch,
      highWatermark: answer.highWatermark,
      firstOffset,
      records,
      newestOffset: this.log.newestOffset,
    })
  }

  #follow(input: FollowerInput, records: readonly ModelRecord[]): void {
    const { follower, log } = this
    if (follower === undefined) return
    const output = follower.step(input)
    const now = this.#port.now()
    if (output.fault !== undefined) this.fault = output.fault
    if (output.highWatermark >= 0) {
      log.raiseHighWatermark(output.highWatermark)
      this.#port.onHighWatermark(this)
    }
    this.#request(output)
    if (output.truncateTo >= 0) {
      log.truncate(output.truncateTo)
      this.#follow({ kind: 'truncated', log: log.view, now }, [])
    }
    if (output.append !== undefined) {
      for (const record of records) this.#port.onAppended(this, log.append(record))
      this.#follow({ kind: 'appended', log: log.view, now }, [])
    }
    if (output.sync) this.#requestSync()
  }

  #request({ ask, fetch, reportLeader }: FollowerOutput): void {
    const leader = this.metadata?.leader ?? ''
    if (ask !== undefined) this.#port.send(this.id, leader, { kind: 'ask', ...ask })
    if (fetch !== undefined) this.#port.send(this.id, leader, { kind: 'fetch', ...fetch })
    if (reportLeader) this.#port.report(this)
  }

  /** At most one sync at a time; who asks meanwhile shares the next. */
  #requestSync(): void {
    if (this.#syncing) {
      this.#syncAgain = true
      return
    }
    this.#syncing = true
    const { incarnation } = this
    const { newestOffset: through, generation } = this.log
    this.#port.afterSync(() => {
      if (!this.isUp || this.incarnation !== incarnation) return
      this.#syncing = false
      if (generation === this.log.generation) this.#onSynced(through)
      else this.#syncAgain = true
      if (!this.#syncAgain) return
      this.#syncAgain = false
      this.#requestSync()
    })
  }

  #onSynced(through: number): void {
    const { log } = this
    log.syncedOffset = Math.max(log.syncedOffset, through)
    const now = this.#port.now()
    if (this.leader !== undefined) this.#lead({ kind: 'synced', offset: log.syncedOffset })
    else this.#follow({ kind: 'synced', offset: log.syncedOffset, now }, [])
  }
}
