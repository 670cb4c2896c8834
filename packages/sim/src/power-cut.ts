import type { SectorFate, SectorVersion } from './disk-nodes.ts'
import type { SimRandom } from './random.ts'

/** A dirty sector of a file, as a power cut sees it. */
export interface UnsyncedSector {
  readonly path: string
  readonly sector: number
  /** Number of the disk operation that wrote it last. */
  readonly sequence: number
  /** What it held between writes that overlapped. */
  readonly earlier: readonly SectorVersion[]
}

/**
 * Decides what unsynced state survives when the power goes. Names are asked in the order in which
 * they were changed; once one of a directory is lost, the later ones of that directory are lost
 * without being asked.
 */
export interface PowerCutPlan {
  /** Whether a create, rename or remove by operation `sequence` reached the disk. */
  keepsName(sequence: number): boolean
  keepsTruncation(path: string): boolean
  /** The file's length, between what was durable and what processes saw; either may be larger. */
  length(path: string, durable: number, cached: number): number
  sector(sector: UnsyncedSector): SectorFate
  /** Chance for garbage and torn sectors. */
  readonly random: SimRandom
}

/** Nothing but what was synced. */
export function cutLosingAll(random: SimRandom): PowerCutPlan {
  return cutAfter(random, -1)
}

/** Everything had been written back, unasked. */
export function cutKeepingAll(random: SimRandom): PowerCutPlan {
  return cutAfter(random, Infinity)
}

/** Write-back in order of issue had come as far as operation `sequence`. */
export function cutAfter(random: SimRandom, sequence: number): PowerCutPlan {
  return {
    keepsName: (changed) => changed <= sequence,
    keepsTruncation: () => sequence === Infinity,
    length: (_path, durable, cached) => (sequence < 0 ? durable : cached),
    sector: (sector) => (sector.sequence <= sequence ? 'new' : 'old'),
    random,
  }
}

/** Of the sectors only those chosen arrived, while names and lengths did: data last of all. */
export function cutKeepingSectors(
  random: SimRandom,
  isKept: (sector: UnsyncedSector) => boolean,
): PowerCutPlan {
  return {
    keepsName: () => true,
    keepsTruncation: () => true,
    length: (_path, _durable, cached) => cached,
    sector: (sector) => (isKept(sector) ? 'new' : 'old'),
    random,
  }
}

const FATES: readonly [SectorFate, ...SectorFate[]] = [
  'old',
  'earlier',
  'new',
  'zero',
  'garbage',
  'torn',
]

/** Any subset of anything, by chance. */
export function cutAtRandom(random: SimRandom): PowerCutPlan {
  // Real caches lose little or much; one coin per sector would nearly always lose about half.
  const keptShare = random.of('share').next()
  const keptNames = random.of('names').next()
  return {
    keepsName: () => random.of('name').next() < Math.sqrt(keptNames),
    keepsTruncation: () => random.of('truncation').chance(0.5),
    length: (_path, durable, cached) => {
      const draw = random.of('length')
      if (draw.chance(0.3)) return draw.chance(0.5) ? durable : cached
      const low = Math.min(durable, cached)
      return low + draw.integer(Math.abs(cached - durable) + 1)
    },
    sector: () => {
      const draw = random.of('sector')
      return draw.chance(keptShare) ? 'new' : draw.pick(FATES)
    },
    random: random.of('content'),
  }
}
