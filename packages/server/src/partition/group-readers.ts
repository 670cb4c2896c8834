/**
 * Who of each consumer group reads a partition. At most one member does: a newer group epoch takes
 * over from an older one, and the same member may come back; an older epoch, or another member of
 * the same epoch, is refused [reliability C2].
 */
export type GroupReader = {
  readonly groupId: string
  readonly groupEpoch: bigint
  readonly consumerId: string
  /** Ends the subscription; called when another member takes over. */
  readonly end: () => void
}

export class GroupReaders {
  readonly #byGroup = new Map<string, GroupReader>()

  /** True when `reader` may read now; it then holds the partition until `leave`. */
  enter(reader: GroupReader): boolean {
    const current = this.#byGroup.get(reader.groupId)
    if (current && !takesOver(reader, current)) return false
    this.#byGroup.set(reader.groupId, reader)
    current?.end()
    return true
  }

  /** Compares identity, not the name: the same member may have come back meanwhile [LB 7.B10]. */
  leave(reader: GroupReader): void {
    if (this.#byGroup.get(reader.groupId) === reader) this.#byGroup.delete(reader.groupId)
  }
}

function takesOver(reader: GroupReader, current: GroupReader): boolean {
  if (reader.groupEpoch !== current.groupEpoch) return reader.groupEpoch > current.groupEpoch
  return reader.consumerId === current.consumerId
}
