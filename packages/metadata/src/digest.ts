import { sha256Hex } from './sha256.ts'
import { encodeSnapshot } from './snapshot.ts'
import type { MetadataView } from './state.ts'

/**
 * A short name of the whole state: servers that have applied the same operations have the same
 * digest, whether they applied them live or from a snapshot [M7]. Costs a snapshot.
 */
export const digest = (state: MetadataView): string => sha256Hex(encodeSnapshot(state))
