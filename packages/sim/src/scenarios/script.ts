/** A plan written by hand, one action after the other. */
import type { Action, AckWish, FaultAction, Plan, Step } from '../workload/plan.ts'

export interface Scenario {
  /** As the list of known failures of such systems numbers it. */
  readonly number: number
  readonly name: string
  readonly plan: (seed: number) => Plan
}

export function creating(stream: string, replicas: number, minIsr: number): Action {
  return {
    kind: 'create',
    stream,
    partitions: 1,
    replicas,
    minIsr,
    concurrency: false,
    retentionMessages: 0,
  }
}

function publishing(count: number, policy: AckWish): Action {
  return {
    kind: 'publish',
    stream: 'st0',
    partition: 0,
    count,
    policy,
    way: 'async',
    bytes: 60,
    expect: false,
  }
}

/** Builds the steps; times are moved on by `wait`. */
export class Script {
  readonly #steps: Step[] = []
  readonly #settings: Omit<Plan, 'steps' | 'lengthMs'>
  #nowMs = 3_000

  constructor(seed: number, settings: Partial<Plan> = {}) {
    this.#settings = {
      seed,
      servers: 3,
      syncPolicy: 'interval',
      segmentBytes: 4_096,
      meanDelayUs: 200,
      syncUs: 400,
      ...settings,
    }
  }

  wait(ms: number): this {
    this.#nowMs += ms
    return this
  }

  /** By the leader, or by the server that is named, by its number or role. */
  do(action: Action, server?: number): this {
    const id = this.#steps.length
    const via = server ?? id % this.#settings.servers
    this.#steps.push({ id, atMs: this.#nowMs, via, toLeader: server === undefined, action })
    return this
  }

  create(options: { readonly replicas?: number; readonly minIsr?: number } = {}): this {
    const { replicas = this.#settings.servers, minIsr = 1 } = options
    return this.do(creating('st0', replicas, minIsr)).wait(1_000)
  }

  /** Publishes a run of messages, which may still be under way when the next action comes. */
  publish(count: number, policy: AckWish = 'all'): this {
    return this.do(publishing(count, policy))
  }

  /** To that server, whoever leads. */
  publishAt(server: number, count: number): this {
    return this.do(publishing(count, 'all'), server)
  }

  /** Publishes one message after the other, so many milliseconds apart. */
  trickle(count: number, everyMs: number): this {
    for (let sent = 0; sent < count; sent++) this.publish(1).wait(everyMs)
    return this
  }

  readonly(readonly: boolean): this {
    return this.do({ kind: 'readonly', stream: 'st0', partitions: [0], readonly })
  }

  /** Asks that server, whoever leads. */
  readonlyAt(server: number, readonly: boolean): this {
    return this.do({ kind: 'readonly', stream: 'st0', partitions: [0], readonly }, server)
  }

  kill(server: number, downMs: number): this {
    return this.do({ kind: 'kill', servers: [server], downMs })
  }

  powerCut(servers: readonly number[], downMs: number): this {
    return this.do({ kind: 'power-cut', servers, downMs })
  }

  damage(server: number, file: Damage['file'], how: Damage['how']): this {
    return this.do({ kind: 'damage', server, file, how })
  }

  plan(): Plan {
    return { ...this.#settings, steps: this.#steps, lengthMs: this.#nowMs + 1_000 }
  }
}

type Damage = Extract<FaultAction, { kind: 'damage' }>
