import type { Outcome } from './operation.ts'
import { decodeOperation } from './operations/codec.ts'
import { applyOperation } from './operations/table.ts'
import { rejected } from './rejection.ts'
import type { MetadataState } from './state.ts'
import type { LogIndex } from './units.ts'

/**
 * Applies the bytes of a committed entry. Total: bytes that are no operation this version knows
 * are inert, on every server alike [M7].
 */
export const applyEntry = (state: MetadataState, entry: Uint8Array, index: LogIndex): Outcome => {
  const decoded = decodeOperation(entry)
  if (decoded.kind === 'operation') return applyOperation(state, decoded.operation, index)
  state.appliedIndex = Math.max(state.appliedIndex, index)
  const text = `undecodable operation: ${decoded.reason}`
  return { kind: 'inert', index, rejection: rejected('INTERNAL', text) }
}
