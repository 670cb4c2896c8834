/**
 * Draws a plan from a seed: its own size of cluster, its own mix of faults, its own workload. Most
 * seeds have few kinds of faults, so that each kind meets long quiet stretches of the others.
 */
import { createSimRandom, type SimRandom } from '../random.ts'
import {
  DRAWN_FAULTS,
  type Action,
  type AckWish,
  type ClientAction,
  type FaultAction,
  type Plan,
  type Step,
} from './plan.ts'

export interface DrawOptions {
  /** Fixes the size instead of drawing it. */
  readonly servers?: number
  readonly lengthMs?: number
  /** Replicas of every stream, instead of drawing them. */
  readonly replicas?: number
  /** Only these faults, and how often, milliseconds. */
  readonly faults?: readonly FaultAction['kind'][]
  readonly faultEveryMs?: number
  readonly syncPolicy?: Plan['syncPolicy']
  readonly syncUs?: number
}

type Settings = {
  readonly servers: number
  readonly streams: readonly string[]
  readonly partitions: number
  readonly lengthMs: number
  /** Pauses between actions of clients and between faults, on average. */
  readonly clientEveryMs: number
  readonly faultEveryMs: number
  readonly faults: readonly FaultAction['kind'][]
  readonly replicas: number | undefined
}

export function drawPlan(seed: number, options: DrawOptions = {}): Plan {
  const random = createSimRandom(`plan ${seed}`)
  const shape = random.of('shape')
  const servers = options.servers ?? shape.pick([1, 3, 3, 3, 5])
  const lengthMs = options.lengthMs ?? 15_000 + shape.integer(45_000)
  const settings: Settings = {
    servers,
    streams: Array.from({ length: 1 + shape.integer(3) }, (_, index) => `st${index}`),
    partitions: 1 + shape.integer(2),
    lengthMs,
    clientEveryMs: 150 + shape.integer(900),
    faultEveryMs: options.faultEveryMs ?? 1_500 + shape.integer(9_000),
    faults: options.faults ?? drawFaults(random.of('faults'), servers),
    replicas: options.replicas,
  }
  return {
    seed,
    servers,
    syncPolicy: options.syncPolicy ?? shape.pick(['interval', 'interval', 'always', 'never']),
    segmentBytes: shape.pick([1_024, 4_096, 65_536]),
    meanDelayUs: shape.pick([100, 300, 2_000, 10_000]),
    syncUs: options.syncUs ?? shape.pick([100, 400, 5_000, 40_000]),
    lengthMs,
    steps: drawSteps(random, settings),
  }
}

function drawFaults(random: SimRandom, servers: number): FaultAction['kind'][] {
  // One seed in ten has none: what fails there is no matter of faults.
  if (random.chance(0.1)) return []
  const share = random.pick([0.15, 0.3, 0.6])
  const able = DRAWN_FAULTS.filter((kind) => servers > 1 || kind !== 'wipe')
  const chosen = able.filter(() => random.chance(share))
  return chosen.length > 0 ? chosen : [random.pick(['kill', 'power-cut', 'freeze', 'nats-restart'])]
}

function drawSteps(random: SimRandom, settings: Settings): Step[] {
  const steps: Step[] = []
  const add = (atMs: number, action: Action): void => {
    const draw = random.of('via')
    const via = draw.integer(settings.servers)
    steps.push({
      id: steps.length,
      atMs: Math.round(atMs * 100) / 100,
      via,
      toLeader: draw.chance(0.7),
      action,
    })
  }
  // A cluster takes a while to elect its first metadata leader.
  let atMs = settings.servers > 1 ? 3_000 : 500
  for (const stream of settings.streams)
    add(atMs, drawCreate(random.of('create'), stream, settings))
  atMs += 500
  const clients = random.of('clients')
  for (let at = atMs; at < settings.lengthMs; at += pause(clients, settings.clientEveryMs)) {
    add(at, drawClientAction(clients, settings))
  }
  const faults = random.of('faults at')
  if (settings.faults.length > 0) {
    let at = atMs + pause(faults, settings.faultEveryMs)
    const busy = steps.filter(({ action }) => action.kind === 'publish').map(({ atMs: ms }) => ms)
    for (; at < settings.lengthMs; at += pause(faults, settings.faultEveryMs)) {
      // Half of the faults fall into the midst of a publish, where something is at stake.
      const publish = faults.chance(0.5) ? busy.findLast((ms) => ms <= at) : undefined
      const midst = publish === undefined ? at : publish + faults.pick([3, 30, 150]) * faults.next()
      add(midst, drawFault(faults, settings))
    }
  }
  return steps.toSorted((a, b) => a.atMs - b.atMs || a.id - b.id)
}

function pause(random: SimRandom, meanMs: number): number {
  return 1 + -Math.log(1 - random.next()) * meanMs
}

function drawCreate(random: SimRandom, stream: string, settings: Settings): ClientAction {
  const replicas = random.pick([
    settings.servers,
    settings.servers,
    1,
    Math.min(2, settings.servers),
  ])
  return {
    kind: 'create',
    stream,
    partitions: settings.partitions,
    replicas,
    minIsr: 1 + random.integer(Math.min(2, replicas)),
    concurrency: random.chance(0.3),
    retentionMessages: random.chance(0.15) ? 40 : 0,
  }
}

const POLICY_WEIGHTS: readonly [AckWish, ...AckWish[]] = ['all', 'all', 'all', 'leader', 'none']

function drawClientAction(random: SimRandom, settings: Settings): ClientAction {
  const [first = 'st0', ...rest] = settings.streams
  const stream = random.pick([first, ...rest])
  const partition = random.integer(settings.partitions)
  const draw = random.next()
  if (draw < 0.7) {
    const expect = random.chance(0.2)
    return {
      kind: 'publish',
      stream,
      partition,
      count: 1 + Math.floor(30 * random.next() ** 3),
      policy: expect ? 'all' : random.pick(POLICY_WEIGHTS),
      way: expect ? 'serial' : random.pick(['unary', 'serial', 'async', 'async', 'nats']),
      bytes: random.pick([16, 60, 300]),
      expect,
    }
  }
  if (draw < 0.88) return drawSubscribe(random, stream, partition)
  if (draw < 0.92) return { kind: 'metadata' }
  if (draw < 0.95) {
    const partitions = random.chance(0.5) ? [] : [partition]
    return { kind: 'pause', stream, partitions, resumeAll: random.chance(0.5) }
  }
  if (draw < 0.98) {
    // Mostly back to writable, or most publishes would only be refused.
    return { kind: 'readonly', stream, partitions: [partition], readonly: random.chance(0.3) }
  }
  if (random.chance(0.5)) return { kind: 'delete', stream }
  return drawCreate(random, stream, settings)
}

function drawSubscribe(random: SimRandom, stream: string, partition: number): ClientAction {
  return {
    kind: 'subscribe',
    stream,
    partition,
    from: random.pick(['earliest', 'latest', 'new', 'offset', 'timestamp']),
    offset: random.integer(60),
    reverse: random.chance(0.15),
    replica: random.chance(0.25),
    forMs: 500 + random.integer(6_000),
  }
}

function drawFault(random: SimRandom, settings: Settings): FaultAction {
  const [first = 'kill', ...rest] = settings.faults
  const kind = random.pick([first, ...rest])
  const server = random.integer(settings.servers)
  const forMs = 200 + Math.floor(8_000 * random.next() ** 2)
  switch (kind) {
    case 'kill':
    case 'power-cut':
      return { kind, servers: drawVictims(random, settings.servers), downMs: forMs }
    case 'terminate':
    case 'wipe':
      return { kind, server, downMs: forMs }
    case 'freeze':
      return { kind, server, forMs: 2 * forMs }
    case 'clock': {
      const stepMs = (random.next() - 0.5) * random.pick([200, 60_000, 7_200_000])
      return { kind, server, stepMs: Math.round(stepMs), rate: 1 + (random.next() - 0.5) / 500 }
    }
    case 'disk-full':
      return { kind, server, forMs }
    case 'disk-slow':
      return { kind, server, forMs, syncUs: random.pick([20_000, 200_000, 1_500_000]) }
    case 'disk-error': {
      const operation = random.pick<'sync' | 'write' | 'read'>(['sync', 'sync', 'write', 'read'])
      return { kind, server, operation, lie: random.chance(0.5), forMs }
    }
    case 'nats-restart':
      return { kind, downMs: forMs }
    case 'cut':
      return {
        kind,
        server,
        direction: random.pick(['to-nats', 'from-nats', 'both']),
        path: random.pick(['all', 'all', 'raft', 'data']),
        forMs: 2 * forMs,
      }
    case 'route':
      return drawRoute(random, settings.servers, forMs)
    case 'damage':
    case 'forget-metadata':
      // Only scripted: what may be damaged depends on who else holds it.
      throw new Error(`${kind} is not drawn`)
    default:
      return kind satisfies never
  }
}

/** Mostly one, now and then all at once: the power of a room. */
function drawVictims(random: SimRandom, servers: number): number[] {
  if (random.chance(0.2)) return Array.from({ length: servers }, (_, index) => index)
  return [random.integer(servers)]
}

function drawRoute(random: SimRandom, servers: number, forMs: number): FaultAction {
  const from = random.chance(0.3) ? -1 : random.integer(servers)
  const to = random.chance(0.3) ? -1 : random.integer(servers)
  const way = random.integer(3)
  return {
    kind: 'route',
    from,
    to,
    path: random.pick(['all', 'raft', 'data', 'data']),
    loss: way === 0 ? random.pick([0.05, 0.3, 1]) : 0,
    duplication: way === 1 ? random.next() / 2 : 0,
    extraDelayMs: way === 2 ? random.integer(200) : 0,
    forMs: 2 * forMs,
  }
}
