/**
 * What must hold for a partition at every instant. It is told of every append, of every high
 * watermark that moved, of every acknowledgement and of every leadership, and remembers what was
 * ever committed.
 */
import assert from 'node:assert/strict'
import type { PartitionMetadata } from './model-controller.suite.ts'
import type { ModelRecord } from './model-log.suite.ts'
import type { ModelNode } from './model-node.suite.ts'

export class ModelChecks {
  readonly #minIsr: number
  /** With sync policy `never` what is written counts, else what is durable. */
  readonly #written: boolean
  /** What each offset holds for ever: at or below the high watermark of some server. */
  readonly committed: ModelRecord[] = []
  /** By offset and epoch: the value, and the epoch of the record before it. */
  readonly #seen = new Map<string, { readonly value: string; readonly before: number }>()
  readonly #leaders = new Map<number, string>()
  readonly #highWatermarks = new Map<string, number>()
  /** Newest offset acknowledged to ALL, and by which epoch. */
  acked = -1
  #ackedIn = 0

  constructor(minIsr: number, written: boolean) {
    this.#minIsr = minIsr
    this.#written = written
  }

  /** Log matching: an offset and an epoch name one record with one past [R1]. */
  onAppended(node: ModelNode, offset: number): void {
    const record = node.log.records[offset]
    assert.ok(record !== undefined)
    const before = node.log.records[offset - 1]?.epoch ?? -1
    const seen = this.#seen.get(`${offset}:${record.epoch}`)
    if (seen === undefined) {
      this.#seen.set(`${offset}:${record.epoch}`, { value: record.value, before })
      return
    }
    assert.deepEqual({ value: record.value, before }, seen, `R1: offset ${offset} on ${node.id}`)
  }

  onLeading(node: ModelNode): void {
    const epoch = node.metadata?.leaderEpoch ?? 0
    const other = this.#leaders.get(epoch)
    assert.equal(other, undefined, `E1: epoch ${epoch} is led by ${other} and now by ${node.id}`)
    this.#leaders.set(epoch, node.id)
    if (epoch > this.#newestEpoch()) this.#holdsAll(node)
  }

  #newestEpoch(): number {
    return Math.max(0, ...[...this.#leaders.keys()].slice(0, -1))
  }

  /** A leader of the newest epoch has everything that was ever committed [D1]. */
  #holdsAll(node: ModelNode): void {
    this.committed.forEach((record, offset) => {
      assert.deepEqual(node.log.records[offset], record, `D1: ${node.id} leads without ${offset}`)
    })
  }

  onHighWatermark(node: ModelNode): void {
    const { highWatermark, records } = node.log
    const key = `${node.id}/${node.incarnation}`
    const before = this.#highWatermarks.get(key) ?? -1
    assert.ok(highWatermark >= before, `R4: the high watermark of ${node.id} fell`)
    this.#highWatermarks.set(key, highWatermark)
    for (let offset = before + 1; offset <= highWatermark; offset++) {
      const record = records[offset]
      assert.ok(record !== undefined, `R3: ${node.id} has no ${offset}`)
      this.committed[offset] ??= record
      assert.deepEqual(record, this.committed[offset], `R2: ${offset} on ${node.id}`)
    }
  }

  /** The leader's high watermark is held by all members of the ISR [R4], enough of them [R5]. */
  checkLeader(leader: ModelNode, current: PartitionMetadata, nodes: readonly ModelNode[]): void {
    if (leader.leader === undefined || leader.metadata?.leaderEpoch !== current.leaderEpoch) return
    const { highWatermark } = leader.leader
    for (const { id, log, isProven } of nodes) {
      // What lost its disk, or what sync policy `never` left unsynced, is another matter [R8].
      if (!current.isr.includes(id) || !isProven) continue
      const held = this.#written ? log.newestOffset : log.syncedOffset
      assert.ok(highWatermark <= held, `R4: ${id} of the ISR holds ${held} < ${highWatermark}`)
    }
  }

  onAcked(node: ModelNode, through: number): void {
    const epoch = node.metadata?.leaderEpoch ?? 0
    assert.ok((node.metadata?.isr.length ?? 0) >= this.#minIsr, 'R5: acked below min ISR')
    assert.ok(through <= node.log.highWatermark, 'R4: acked beyond the high watermark')
    if (through <= this.acked) return
    assert.ok(epoch >= this.#ackedIn, `E2: epoch ${epoch} acks ${through} after ${this.#ackedIn}`)
    this.acked = through
    this.#ackedIn = epoch
  }
}
