/** Load on one partition that follows its leader: ends with it, and goes on at the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type LoadCounts, Publisher, type Target } from '../load.ts'
import { RawConnection } from '../raw-grpc.ts'
import type { ClusterProcess } from './cluster-process.ts'

export type LeaderLoadOptions = {
  readonly cluster: ClusterProcess
  readonly target: Target
  readonly counts: LoadCounts
  readonly ratePerSecond: number
  /** Milliseconds from a trouble that hit this partition's leader to the first ack after it. */
  readonly onOutage: (ms: number) => void
}

const WINDOW = 2_000
const BATCH = 20
const RETRY_MS = 50
/** An open call that gets no ack for so long is given up: its server may be frozen. */
const SILENCE_MS = 1_500
/** After the last publish of a round its acks are waited for. */
const SETTLE_MS = 5_000

export class LeaderLoad {
  readonly #options: LeaderLoadOptions
  #publisher: Publisher | undefined
  #stopped = false
  #lastAckMs = performance.now()
  #troubleMs: number | undefined
  #running: Promise<void> | undefined
  leader = ''
  /** What a server sent that no server may send. */
  fault: Error | undefined

  constructor(options: LeaderLoadOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopped = false
    this.#lastAckMs = performance.now()
    this.#running = this.#run()
  }

  /** Stops publishing, and waits for the acks that are on their way. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#publisher?.stop()
    await this.#publisher?.settle(SETTLE_MS)
    this.#publisher?.close()
    await this.#running
  }

  /** The leader has just been hit: what is acknowledged by a later call ends the outage. */
  hit(): void {
    this.#troubleMs ??= performance.now()
    this.#publisher?.close()
    this.#publisher = undefined
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let connection: RawConnection | undefined
      try {
        connection = await this.#connect()
        if (connection !== undefined) await this.#publish(connection)
      } catch {
        // The server is gone or refuses: the next one is asked.
      } finally {
        connection?.close()
      }
      if (!this.#stopped) await sleep(RETRY_MS)
    }
  }

  async #connect(): Promise<RawConnection | undefined> {
    const { cluster, target } = this.#options
    const view = await cluster.view()
    const found = view?.find(
      ({ stream, partition }) => stream === target.stream && partition === target.partition,
    )
    if (found === undefined) return undefined
    this.leader = found.leader
    return RawConnection.open(cluster.member(found.leader).server.address)
  }

  async #publish(connection: RawConnection): Promise<void> {
    const { target, counts, ratePerSecond } = this.#options
    const publisher: Publisher = new Publisher(connection, target, {
      window: WINDOW,
      firstWindow: BATCH,
      counts,
      policies: ['ALL'],
      onAck: () => this.#acked(publisher),
    })
    this.#publisher = publisher
    this.#lastAckMs = performance.now()
    const watchdog = setInterval(() => {
      if (performance.now() - this.#lastAckMs > SILENCE_MS) publisher.close()
    }, SILENCE_MS / 3)
    try {
      await publisher.run(BATCH, ratePerSecond / BATCH)
      if (this.#stopped) await publisher.settle(SETTLE_MS)
    } finally {
      clearInterval(watchdog)
      publisher.close()
    }
    // What no server may send is a defect, not an outage.
    if (publisher.fault !== undefined) this.fault ??= publisher.fault
  }

  #acked(by: Publisher): void {
    const nowMs = performance.now()
    this.#lastAckMs = nowMs
    // An ack of the call that was hit may still have been on its way.
    if (this.#troubleMs === undefined || by !== this.#publisher) return
    this.#options.onOutage(nowMs - this.#troubleMs)
    this.#troubleMs = undefined
  }
}
