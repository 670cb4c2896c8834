import {
  ConsensusError,
  type ClusterMember,
  type Consensus,
  type MetadataLeadership,
  type StateMachine,
} from './consensus.ts'
import type { OperationLog } from './operation-log.ts'

/** Proposals that may wait for the disk; each holds a client's request in memory. */
const MAX_WAITING = 4096
/** Proposals that share one sync. */
const MAX_BATCH = 256

interface Waiting<Result> {
  readonly entry: Uint8Array
  readonly resolve: (result: Result) => void
  readonly reject: (error: ConsensusError) => void
}

type State<Result> =
  | { readonly kind: 'new' }
  | { readonly kind: 'open'; readonly machine: StateMachine<Result> }
  | { readonly kind: 'fenced'; readonly error: ConsensusError }

/**
 * Consensus with oneself: an entry is committed when it is durable in this server's log. One
 * writer; proposals that arrive while a sync is under way share the next one (group commit).
 * An append that failed without a trace, as on a full disk, refuses its proposals only. After any
 * other nothing more is written or applied, for what is on disk is unknown until the next start
 * reads it; the state stays readable.
 */
export class SingleServerConsensus<Result> implements Consensus<Result> {
  readonly leadership: MetadataLeadership = { kind: 'here' }
  readonly members: readonly ClusterMember[]
  readonly #log: OperationLog
  #state: State<Result> = { kind: 'new' }
  #waiting: Waiting<Result>[] = []
  #writer: Promise<void> | undefined

  constructor(log: OperationLog, serverId: string) {
    this.#log = log
    this.members = [{ id: serverId, voter: true }]
  }

  silenceMs(): number {
    return 0
  }

  async handOver(): Promise<void> {
    // There is nobody else.
  }

  get failure(): string | undefined {
    return this.#state.kind === 'fenced' ? this.#state.error.message : undefined
  }

  get notice(): undefined {
    return undefined
  }

  async start(machine: StateMachine<Result>): Promise<void> {
    for await (const { index, entry } of this.#log.read(1)) machine.apply(index, entry)
    this.#state = { kind: 'open', machine }
  }

  propose(entry: Uint8Array): Promise<Result> {
    const state = this.#state
    if (state.kind === 'fenced') return Promise.reject(state.error)
    if (state.kind === 'new') {
      return Promise.reject(new ConsensusError('closed', 'metadata is not open yet'))
    }
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new ConsensusError('overloaded', 'too many metadata operations wait'))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      this.#writer ??= this.#write(state.machine)
    })
  }

  /** Entries are applied in the same turn in which they become durable. */
  barrier(): Promise<void> {
    return Promise.resolve()
  }

  /** One server leads itself for ever. */
  onLeadership(listener: (leadership: MetadataLeadership) => void): void {
    listener(this.leadership)
  }

  async close(): Promise<void> {
    await this.#writer
    this.#fence(new ConsensusError('closed', 'metadata is closed'))
    await this.#log.close()
  }

  /** The one writer: runs while there is something to write, never rejects. */
  async #write(machine: StateMachine<Result>): Promise<void> {
    // Proposals made in the same turn as the first belong into the same batch.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH)
      let appended = false
      try {
        const first = await this.#log.append(batch.map(({ entry }) => entry))
        appended = true
        for (const [i, { entry, resolve }] of batch.entries()) {
          resolve(machine.apply(first + i, entry))
        }
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        const error = new ConsensusError('failed', `metadata log failed: ${reason}`, { cause })
        // Those of the batch that were resolved before a throw stay resolved.
        for (const { reject } of batch) reject(error)
        if (appended || this.#log.fenced) this.#fence(error)
      }
    }
    this.#writer = undefined
  }

  #fence(error: ConsensusError): void {
    if (this.#state.kind !== 'fenced') this.#state = { kind: 'fenced', error }
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
