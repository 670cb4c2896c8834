import type { PartitionState, StreamState } from '@liftbridge/metadata'

/** A partition that should run on this server, as the metadata has it now. */
export interface WantedPartition {
  readonly stream: StreamState
  /** Same object as long as nothing about the partition has changed. */
  readonly partition: PartitionState
  readonly role: 'leader' | 'follower'
  /** Absolute path of the log's directory. Claimed for this incarnation; may not exist yet. */
  readonly directory: string
}

/**
 * What runs partitions. Calls for one partition never overlap; calls for different ones do. The
 * reconciler repeats a call that rejected, with pauses, as long as it is still wanted.
 */
export interface PartitionHost {
  /**
   * Opens the log and starts the role; resolves when a leader leads or a follower follows. When
   * it rejects, nothing of the partition is left running.
   */
  open(wanted: WantedPartition): Promise<void>
  /** Brings a running partition of the same incarnation in line: role, leader, epochs, ISR, readonly. */
  update(wanted: WantedPartition): Promise<void>
  /**
   * The leadership under which this partition runs has been replaced by a newer one. Must return
   * at once and not throw: a leader acknowledges nothing from here on [E2]. `update` or `close`
   * follows when its turn has come.
   */
  supersede(running: WantedPartition): void
  /** Stops the partition and closes its log; data stays. Fine when it does not run. */
  close(running: WantedPartition): Promise<void>
}
