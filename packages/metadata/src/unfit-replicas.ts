/** Replicas that have told that they cannot lead with what they have [R8]. */
import type { LogTail, ReportReason } from './requests.ts'
import type { ServerId } from './units.ts'

/** Longer than a replica takes to open its log and find that it cannot lead. */
const REMEMBERED_MS = 60_000

/** A replica may have been filled since. */
const LATELY_MS = 10_000

export type Declaration = {
  readonly reason: ReportReason
  /** What it has left; a server that does not tell has nothing. */
  readonly tail: LogTail
}

type Dated = { readonly declaration: Declaration; readonly declaredMs: number }

/** Kept by the metadata leader, in memory: one that forgets costs a round of questions. */
export class UnfitReplicas {
  readonly #partitions = new Map<string, Map<ServerId, Dated>>()

  /** Notes a declaration; returns all that count for the partition now, as last told. */
  declare(
    partition: string,
    replica: ServerId,
    declaration: Declaration,
    nowMs: number,
  ): ReadonlyMap<ServerId, Declaration> {
    const declarations = this.#partitions.get(partition) ?? new Map<ServerId, Dated>()
    this.#partitions.set(partition, declarations)
    declarations.set(replica, { declaration, declaredMs: nowMs })
    const counting = new Map<ServerId, Declaration>()
    for (const [id, { declaration: its, declaredMs }] of declarations) {
      if (nowMs - declaredMs < REMEMBERED_MS) counting.set(id, its)
    }
    return counting
  }

  /** Those that declared themselves so lately that it will not have changed. */
  lately(partition: string, nowMs: number): ReadonlySet<ServerId> {
    const found = new Set<ServerId>()
    for (const [id, { declaredMs }] of this.#partitions.get(partition) ?? []) {
      if (nowMs - declaredMs < LATELY_MS) found.add(id)
    }
    return found
  }

  /** The replica may lead after all. */
  forget(partition: string, replica: ServerId): void {
    this.#partitions.get(partition)?.delete(replica)
  }

  /** One of them leads with what it has: what any of them lacked does not matter any more. */
  forgetAll(partition: string): void {
    this.#partitions.delete(partition)
  }

  /** Frees what does not count any more. */
  sweep(nowMs: number): void {
    for (const [partition, declarations] of this.#partitions) {
      for (const [id, { declaredMs }] of declarations) {
        if (nowMs - declaredMs >= REMEMBERED_MS) declarations.delete(id)
      }
      if (declarations.size === 0) this.#partitions.delete(partition)
    }
  }

  clear(): void {
    this.#partitions.clear()
  }
}
