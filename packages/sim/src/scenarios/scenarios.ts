/** All named scenarios, by their numbers. */
import { DIRECTED_SCENARIOS } from './directed-scenarios.ts'
import { DISK_SCENARIOS } from './disk-scenarios.ts'
import { METADATA_SCENARIOS } from './metadata-scenarios.ts'
import { REPLICATION_SCENARIOS } from './replication-scenarios.ts'
import type { Scenario } from './script.ts'

export const SCENARIOS: readonly Scenario[] = [
  ...REPLICATION_SCENARIOS,
  ...DISK_SCENARIOS,
  ...METADATA_SCENARIOS,
  ...DIRECTED_SCENARIOS,
].toSorted((a, b) => a.number - b.number)
