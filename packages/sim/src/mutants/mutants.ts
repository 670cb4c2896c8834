/** All planted bugs; each names the rule it breaks. */
import { LOG_MUTANTS } from './log-mutants.ts'
import { METADATA_MUTANTS } from './metadata-mutants.ts'
import type { Mutant } from './mutant.ts'
import { REPLICATION_MUTANTS } from './replication-mutants.ts'

export const MUTANTS: readonly Mutant[] = [
  ...REPLICATION_MUTANTS,
  ...METADATA_MUTANTS,
  ...LOG_MUTANTS,
]
