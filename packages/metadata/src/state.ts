import type { StreamConfig } from './stream-config.ts'
import type { LogIndex, ServerId, StreamIdentity, TimestampNs } from './units.ts'

/** When something happened to a partition for the first and for the last time; 0n is never. */
export interface EventTimestamps {
  readonly firstNs: TimestampNs
  readonly latestNs: TimestampNs
}

export const NEVER: EventTimestamps = { firstNs: 0n, latestNs: 0n }

/** What all servers agree on about a partition. Values are replaced, never changed. */
export interface PartitionState {
  /** 0 .. n-1, and the position in `StreamState.partitions`. */
  readonly id: number
  /** In the order of placement; never empty. */
  readonly replicas: readonly ServerId[]
  /** A subset of the replicas; holds the leader. */
  readonly isr: readonly ServerId[]
  readonly leader: ServerId
  /** Index of the operation that installed the leader. */
  readonly leaderEpoch: LogIndex
  /** Index of the last creation, ISR or leader change. */
  readonly epoch: LogIndex
  readonly paused: boolean
  readonly readonly: boolean
  readonly pauseTimestamps: EventTimestamps
  readonly readonlyTimestamps: EventTimestamps
}

export interface StreamState extends StreamIdentity {
  /** NATS subject of partition 0; partition n > 0 listens on `<subject>.<n>`. */
  readonly subject: string
  /** NATS queue group; empty for none. */
  readonly group: string
  /** As requested: -1 for "all servers". */
  readonly replicationFactor: number
  readonly partitions: readonly PartitionState[]
  readonly config: StreamConfig
  /** A publish to any partition resumes all paused ones; set by the last pause. */
  readonly resumeAll: boolean
}

export interface Assignment {
  readonly stream: string
  /** Ascending. */
  readonly partitions: readonly number[]
}

export interface MemberState {
  readonly id: string
  /** Ascending, without repeats. */
  readonly streams: readonly string[]
  /** Ascending by stream; streams of which the member holds nothing are left out. */
  readonly assignments: readonly Assignment[]
}

export interface GroupState {
  readonly id: string
  /** In the order of joining. */
  readonly members: readonly MemberState[]
  readonly coordinator: ServerId
  /** 0 at creation, then the index of the last change of members, coordinator or assignments. */
  readonly epoch: LogIndex
}

/** How much a server carries. Paused partitions do not count. */
export interface ServerLoad {
  readonly partitions: number
  readonly leaders: number
  readonly coordinated: number
}

const NO_LOAD: ServerLoad = { partitions: 0, leaders: 0, coordinated: 0 }

/** The metadata as everybody but the operations sees it. Streams and groups handed out never change. */
export interface MetadataView {
  readonly streams: ReadonlyMap<string, StreamState>
  readonly groups: ReadonlyMap<string, GroupState>
  readonly appliedIndex: LogIndex
  /** Index of the last operation whose event is known to be in the activity stream. */
  readonly lastPublishedActivityIndex: LogIndex
  readonly partitionCount: number
  loadOf(server: ServerId): ServerLoad
}

/**
 * The replicated state. Only operations and a snapshot's restore change it, through the doors
 * below, which also keep the loads: they are always the sum over the streams and groups there
 * are, so that no replay, repeated pause or restore can count anything twice [D-29].
 */
export class MetadataState implements MetadataView {
  readonly #streams = new Map<string, StreamState>()
  readonly #groups = new Map<string, GroupState>()
  readonly #loads = new Map<ServerId, ServerLoad>()
  #partitionCount = 0
  appliedIndex: LogIndex = 0
  lastPublishedActivityIndex: LogIndex = 0

  get streams(): ReadonlyMap<string, StreamState> {
    return this.#streams
  }

  get groups(): ReadonlyMap<string, GroupState> {
    return this.#groups
  }

  get partitionCount(): number {
    return this.#partitionCount
  }

  loadOf(server: ServerId): ServerLoad {
    return this.#loads.get(server) ?? NO_LOAD
  }

  putStream(stream: StreamState): void {
    // What both have is not counted again: a change of one partition of many must cost little.
    const old = this.#streams.get(stream.name)?.partitions ?? []
    this.#count(
      old.filter((partition) => stream.partitions[partition.id] !== partition),
      -1,
    )
    this.#count(
      stream.partitions.filter((partition) => old[partition.id] !== partition),
      1,
    )
    this.#streams.set(stream.name, stream)
  }

  removeStream(name: string): void {
    this.#count(this.#streams.get(name)?.partitions ?? [], -1)
    this.#streams.delete(name)
  }

  putGroup(group: GroupState): void {
    this.#forgetGroup(group.id)
    this.#groups.set(group.id, group)
    this.#add(group.coordinator, { ...NO_LOAD, coordinated: 1 })
  }

  removeGroup(id: string): void {
    this.#forgetGroup(id)
    this.#groups.delete(id)
  }

  #forgetGroup(id: string): void {
    const old = this.#groups.get(id)
    if (old !== undefined) this.#add(old.coordinator, { ...NO_LOAD, coordinated: -1 })
  }

  #count(partitions: readonly PartitionState[], sign: 1 | -1): void {
    this.#partitionCount += sign * partitions.length
    for (const partition of partitions) {
      if (partition.paused) continue
      for (const replica of partition.replicas) {
        this.#add(replica, { ...NO_LOAD, partitions: sign })
      }
      this.#add(partition.leader, { ...NO_LOAD, leaders: sign })
    }
  }

  #add(server: ServerId, change: ServerLoad): void {
    const load = this.loadOf(server)
    this.#loads.set(server, {
      partitions: load.partitions + change.partitions,
      leaders: load.leaders + change.leaders,
      coordinated: load.coordinated + change.coordinated,
    })
  }
}

/** Stamps an event; an operation without a time (from Go Liftbridge) changes nothing. */
export const stamped = (events: EventTimestamps, atNs: TimestampNs): EventTimestamps =>
  atNs === 0n ? events : { firstNs: events.firstNs || atNs, latestNs: atNs }

/** The partitions a publish or a resuming subscription to `partition` has to resume. */
export const partitionsToResume = (stream: StreamState, partition: number): readonly number[] =>
  stream.partitions
    .filter(({ id, paused }) => paused && (stream.resumeAll || id === partition))
    .map(({ id }) => id)
