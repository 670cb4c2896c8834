import type { SlotStep } from './partition-slot.ts'
import type { DirectoryReport } from './stream-directories.ts'

/** What an operator, a log line or a metric may want to know of the reconciler's work. */
export type ReconcilerReport =
  | DirectoryReport
  /** Tried again after `pauseMs`, or at once when something else is wanted. */
  | {
      readonly kind: 'partition-failed'
      readonly stream: string
      readonly partition: number
      readonly step: SlotStep
      readonly attempt: number
      readonly pauseMs: number
      readonly error: unknown
    }
  | { readonly kind: 'partition-recovered'; readonly stream: string; readonly partition: number }
  /** A deleted stream's data has gone; `found` is false when there was none of that incarnation. */
  | { readonly kind: 'stream-removed'; readonly stream: string; readonly found: boolean }
  | {
      readonly kind: 'removal-failed'
      readonly stream: string
      readonly attempt: number
      readonly pauseMs: number
      readonly error: unknown
    }
  /** The streams' directories could not be looked through at start; nothing was removed. */
  | { readonly kind: 'tidy-failed'; readonly error: unknown }
