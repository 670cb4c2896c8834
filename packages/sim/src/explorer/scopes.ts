/** What is explored, and how far. */
import type { Scope } from './state.ts'

/** Closes in a moment. */
export const SMALL: Scope = {
  replicas: 3,
  minIsr: 1,
  policy: 'always',
  records: 1,
  epochs: 2,
  isrChanges: 0,
  restarts: 0,
  staleViews: false,
  compareAndSet: true,
  wipes: 0,
  late: 0,
}

/** Those that are run for every change; each goes deep in one direction. */
export const SCOPES: Readonly<Record<string, Scope>> = {
  small: SMALL,
  'three epochs': { ...SMALL, records: 2, epochs: 3 },
  'lost tails': { ...SMALL, records: 2, restarts: 1 },
  'restarts with stale metadata': { ...SMALL, restarts: 2, staleViews: true },
  'isr changes': { ...SMALL, isrChanges: 3 },
  'isr changes below min ISR': { ...SMALL, minIsr: 2, isrChanges: 2, restarts: 1 },
  'late fetches': { ...SMALL, restarts: 1, isrChanges: 1, late: 1 },
  'empty disks': { ...SMALL, isrChanges: 2, wipes: 1 },
  'written counts': { ...SMALL, policy: 'never', records: 2, restarts: 1 },
}

/** Those that take long; run by hand. */
export const LARGE_SCOPES: Readonly<Record<string, Scope>> = {
  '3 records, 3 epochs': { ...SMALL, records: 3, epochs: 3 },
  '2 records, 3 epochs, restart': { ...SMALL, records: 2, epochs: 3, restarts: 1 },
  '2 records, isr and restart': { ...SMALL, records: 2, isrChanges: 1, restarts: 1 },
}
