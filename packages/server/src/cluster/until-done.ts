import type { Clock } from '../clock.ts'

/** Resolves with true when `work` has, with false when that took longer than `timeoutMs`. */
export function untilDone(
  clock: Clock,
  timeoutMs: number,
  work: Promise<unknown>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(timeoutMs, () => resolve(false))
    void work.then(() => {
      timer.cancel()
      resolve(true)
    })
  })
}
