import type { Disk } from '@liftbridge/log'
import { SimDisk, type DiskOperation, type DiskOperationKind } from './disk.ts'
import {
  cutAfter,
  cutAtRandom,
  cutKeepingAll,
  cutKeepingSectors,
  cutLosingAll,
  type PowerCutPlan,
} from './power-cut.ts'
import { createSimRandom } from './random.ts'

/** A program whose crashes are to be tried. */
export interface CrashScenario<Claim> {
  readonly name: string
  /** Where it starts; a new disk by default. */
  readonly disk?: SimDisk
  /** What holds before the first operation. */
  readonly initial: Claim
  /**
   * Works on the disk and calls `claim` whenever it would promise something to somebody: what was
   * claimed before an operation must hold when the crash comes at that operation.
   */
  run(disk: Disk, claim: (claim: Claim) => void): Promise<void>
}

/** The moment before an operation took effect, or the end. */
interface CrashPoint<Claim> {
  readonly number: number
  readonly disk: SimDisk
  readonly claim: Claim
}

export interface CrashTrace<Claim> {
  readonly name: string
  readonly points: readonly CrashPoint<Claim>[]
  /** One line per operation that changed something, numbered as the points are. */
  readonly lines: readonly string[]
}

/** One way in which the disk may come out of a crash. */
export interface CrashState<Claim> {
  readonly kind: 'kill' | 'power'
  readonly label: string
  readonly disk: SimDisk
  readonly claim: Claim
}

export interface CutBudget {
  /** Power cuts by chance at each point. */
  readonly randomCuts: number
  /** At most so many single sectors and prefixes are tried at each point. */
  readonly maxSubsets: number
  readonly seed: number
}

/** The same, and how much is tried with each disk. */
export interface CrashBudget extends CutBudget {
  /** Of the different disks every so many-th is crashed again while it recovers. */
  readonly nestedEvery: number
  /** Of the different disks every so many-th is used after its recovery and crashed again. */
  readonly goesOnEvery: number
  /** Of the different disks every so many-th is recovered with each hint file damaged. */
  readonly hintsEvery: number
}

const CHANGING: ReadonlySet<DiskOperationKind> = new Set<DiskOperationKind>([
  'create',
  'write',
  'truncate',
  'sync',
  'make-directory',
  'rename',
  'remove',
  'sync-directory',
])

/** Runs the scenario once and keeps the disk at every boundary between operations (ALICE). */
export async function traceCrashPoints<Claim>(
  scenario: CrashScenario<Claim>,
): Promise<CrashTrace<Claim>> {
  const storage = scenario.disk?.fork() ?? new SimDisk()
  const points: CrashPoint<Claim>[] = []
  const lines: string[] = []
  let claim = scenario.initial
  const keep = (): void => {
    points.push({ number: points.length, disk: storage.fork(), claim })
  }
  storage.onOperation = (operation) => {
    if (CHANGING.has(operation.kind)) {
      keep()
      lines.push(describeOperation(operation))
    }
    return undefined
  }
  await scenario.run(storage.attach(), (claimed) => (claim = claimed))
  storage.onOperation = undefined
  keep()
  return { name: scenario.name, points, lines }
}

/** Every crash state of a point that the budget allows; each has a disk of its own. */
function* crashStates<Claim>(
  point: CrashPoint<Claim>,
  budget: CutBudget,
): Generator<CrashState<Claim>> {
  const killed = point.disk.fork()
  killed.kill()
  yield { kind: 'kill', label: 'kill', disk: killed, claim: point.claim }
  for (const [label, plan] of powerCuts(point, budget)) {
    const disk = point.disk.fork()
    disk.cutPower(plan)
    yield { kind: 'power', label, disk, claim: point.claim }
  }
}

function* powerCuts<Claim>(
  point: CrashPoint<Claim>,
  budget: CutBudget,
): Generator<readonly [string, PowerCutPlan]> {
  const random = createSimRandom(budget.seed).of(`point ${point.number}`)
  yield ['power, nothing written back', cutLosingAll(random)]
  const sectors = point.disk.unsyncedSectors()
  const names = point.disk.unsyncedNames()
  // Without anything unsynced all power cuts are the same.
  if (sectors.length === 0 && names.length === 0) return
  yield ['power, all written back', cutKeepingAll(random)]
  const sequences = new Set([...sectors.map((sector) => sector.sequence), ...names])
  for (const sequence of thinned(
    [...sequences].sort((a, b) => a - b),
    budget.maxSubsets,
  )) {
    yield [`power, written back up to operation ${sequence}`, cutAfter(random, sequence)]
  }
  for (const chosen of thinned(sectors, budget.maxSubsets)) {
    const isChosen = (sector: { path: string; sector: number }): boolean =>
      sector.path === chosen.path && sector.sector === chosen.sector
    const where = `sector ${chosen.sector} of ${chosen.path}`
    yield [`power, only ${where}`, cutKeepingSectors(random, isChosen)]
    yield [`power, all but ${where}`, cutKeepingSectors(random, (other) => !isChosen(other))]
  }
  for (let index = 0; index < budget.randomCuts; index++) {
    yield [`power, random cut ${index}`, cutAtRandom(random.of(`cut ${index}`))]
  }
}

/** At most `most` items, spread evenly and always with the first and the last. */
function thinned<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items]
  const step = (items.length - 1) / Math.max(1, most - 1)
  return items.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step))
}

/** Counts of what was tried. */
export interface CrashCounts {
  points: number
  states: number
}

/**
 * Checks every crash state of a trace. A failure is thrown anew with everything needed to repeat
 * it: scenario, seed, point, state and the operations that led there.
 */
export async function checkCrashPoints<Claim>(
  trace: CrashTrace<Claim>,
  budget: CutBudget,
  check: (state: CrashState<Claim>) => Promise<void>,
): Promise<CrashCounts> {
  const counts: CrashCounts = { points: 0, states: 0 }
  for (const point of trace.points) {
    counts.points++
    for (const state of crashStates(point, budget)) {
      counts.states++
      try {
        await check(state)
      } catch (error) {
        throw crashError(trace, { point, state, budget, error })
      }
    }
  }
  return counts
}

function crashError<Claim>(
  trace: CrashTrace<Claim>,
  failed: {
    readonly point: CrashPoint<Claim>
    readonly state: CrashState<Claim>
    readonly budget: CutBudget
    readonly error: unknown
  },
): Error {
  const { point, state, budget, error } = failed
  const from = Math.max(0, point.number - 40)
  const lines = trace.lines
    .slice(from, point.number)
    .map((line, index) => `  ${from + index} ${line}`)
  const reason = error instanceof Error ? error.message : String(error)
  const where = `${trace.name}, seed ${budget.seed}, crash before operation ${point.number}`
  return new Error([`${where}: ${state.label}: ${reason}`, ...lines].join('\n'), { cause: error })
}

function describeOperation(operation: DiskOperation): string {
  const { kind, path, position, length } = operation
  const range = kind === 'write' ? ` ${length} bytes at ${position}` : ''
  return `${kind} ${path}${kind === 'truncate' ? ` to ${position}` : range}`
}
