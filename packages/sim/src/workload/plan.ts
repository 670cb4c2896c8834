/**
 * What a run does, drawn from its seed before it begins. A plan is data: it can be shrunk by taking
 * steps away, written to a file, and run again; chance that is left (delays, torn sectors) hangs on
 * the seed and the name of the site, so a step that is gone moves no other.
 */
import type { Path } from '../world/network.ts'

export type AckWish = 'leader' | 'all' | 'none'

/** How a message is published: calls one by one, one stream of calls, or through NATS itself. */
export type PublishWay = 'unary' | 'serial' | 'async' | 'nats'

export type ClientAction =
  | {
      readonly kind: 'create'
      readonly stream: string
      readonly partitions: number
      readonly replicas: number
      readonly minIsr: number
      readonly concurrency: boolean
      readonly retentionMessages: number
    }
  | { readonly kind: 'delete'; readonly stream: string }
  | {
      readonly kind: 'pause'
      readonly stream: string
      readonly partitions: readonly number[]
      readonly resumeAll: boolean
    }
  | {
      readonly kind: 'readonly'
      readonly stream: string
      readonly partitions: readonly number[]
      readonly readonly: boolean
    }
  | {
      readonly kind: 'publish'
      readonly stream: string
      readonly partition: number
      readonly count: number
      readonly policy: AckWish
      readonly way: PublishWay
      readonly bytes: number
      /** With concurrency control: each message names the offset it should get. */
      readonly expect: boolean
    }
  | {
      readonly kind: 'subscribe'
      readonly stream: string
      readonly partition: number
      readonly from: 'earliest' | 'latest' | 'new' | 'offset' | 'timestamp'
      readonly offset: number
      readonly reverse: boolean
      readonly replica: boolean
      readonly forMs: number
    }
  | { readonly kind: 'metadata' }

/** Stand for a server by what it is at that moment; `latest` for the one that was meant last. */
export const ROLES = {
  leader: -1,
  follower: -2,
  otherFollower: -3,
  metadataLeader: -4,
  latest: -9,
} as const

/** Files that damage may hit. */
export type DamagedFile = 'log' | 'index' | 'epochs' | 'checkpoint' | 'snapshot'

export type FaultAction =
  | {
      /** At rest: the server is down meanwhile, and is killed when it is not. */
      readonly kind: 'damage'
      readonly server: number
      readonly file: DamagedFile
      readonly how: 'flip-bit' | 'zeros-behind' | 'garbage' | 'empty' | 'remove'
    }
  | { readonly kind: 'kill'; readonly servers: readonly number[]; readonly downMs: number }
  | { readonly kind: 'power-cut'; readonly servers: readonly number[]; readonly downMs: number }
  | { readonly kind: 'terminate'; readonly server: number; readonly downMs: number }
  /** All servers end, and start without what they knew of the metadata. */
  | { readonly kind: 'forget-metadata'; readonly downMs: number }
  | { readonly kind: 'freeze'; readonly server: number; readonly forMs: number }
  | { readonly kind: 'wipe'; readonly server: number; readonly downMs: number }
  | {
      readonly kind: 'clock'
      readonly server: number
      readonly stepMs: number
      readonly rate: number
    }
  | { readonly kind: 'disk-full'; readonly server: number; readonly forMs: number }
  | {
      readonly kind: 'disk-slow'
      readonly server: number
      readonly forMs: number
      readonly syncUs: number
    }
  | {
      readonly kind: 'disk-error'
      readonly server: number
      readonly operation: 'sync' | 'write' | 'read'
      readonly lie: boolean
      readonly forMs: number
    }
  | { readonly kind: 'nats-restart'; readonly downMs: number }
  | {
      readonly kind: 'cut'
      readonly server: number
      readonly direction: 'to-nats' | 'from-nats' | 'both'
      readonly path: Path
      readonly forMs: number
    }
  | {
      readonly kind: 'route'
      /** -1 stands for all. */
      readonly from: number
      readonly to: number
      readonly path: Path
      readonly loss: number
      readonly duplication: number
      readonly extraDelayMs: number
      readonly forMs: number
    }

export type Action = ClientAction | FaultAction

export type Step = {
  /** Names the step in the trace and in the values it publishes; never changes by shrinking. */
  readonly id: number
  readonly atMs: number
  /** Server that a client turns to; it finds the leader by itself when `toLeader` is set. */
  readonly via: number
  readonly toLeader: boolean
  readonly action: Action
}

export interface Plan {
  readonly seed: number
  readonly servers: number
  readonly syncPolicy: 'always' | 'interval' | 'never'
  readonly segmentBytes: number
  readonly meanDelayUs: number
  readonly syncUs: number
  readonly lengthMs: number
  /** Metadata snapshots come every second or two, and few entries are kept behind them. */
  readonly snapshotsOften?: boolean
  readonly steps: readonly Step[]
}

/** Faults that are drawn; those of what lies on disks are only scripted. */
export const DRAWN_FAULTS: readonly FaultAction['kind'][] = [
  'kill',
  'power-cut',
  'terminate',
  'freeze',
  'wipe',
  'clock',
  'disk-full',
  'disk-slow',
  'disk-error',
  'nats-restart',
  'cut',
  'route',
]

const FAULT_KINDS: ReadonlySet<Action['kind']> = new Set([
  ...DRAWN_FAULTS,
  'damage',
  'forget-metadata',
])

export function isFault(action: Action): action is FaultAction {
  return FAULT_KINDS.has(action.kind)
}

export function hasFault(plan: Plan, ...kinds: FaultAction['kind'][]): boolean {
  return plan.steps.some(({ action }) => kinds.some((kind) => kind === action.kind))
}

/** Whether old messages of this stream may be removed. */
export function isRetained(plan: Plan, stream: string): boolean {
  return plan.steps.some(
    ({ action }) =>
      action.kind === 'create' && action.stream === stream && action.retentionMessages > 0,
  )
}

/** One step on one line, as a person reads it. */
export function stepText(step: Step): string {
  const { kind, ...fields } = step.action
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  const via = isFault(step.action) ? '' : step.toLeader ? ' @leader' : ` @s${step.via}`
  return `#${step.id} ${kind}${via} ${shown.join(' ')}`
}

/** The plan as a file: settings first, then one step a line. */
export function planText(plan: Plan): string {
  const { steps, ...settings } = plan
  return `${JSON.stringify(settings)}\n${steps.map((step) => JSON.stringify(step)).join('\n')}\n`
}

/** Reads what `planText` wrote; lines that begin with # are comments. */
export function parsePlan(text: string): Plan {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const [settings, ...steps] = lines.map((line) => JSON.parse(line) as unknown)
  return { ...(settings as Omit<Plan, 'steps'>), steps: steps as Step[] }
}
