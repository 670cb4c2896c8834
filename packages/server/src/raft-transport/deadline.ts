import type { Clock } from '../clock.ts'
import { RaftTransportError } from './transport-error.ts'

/**
 * `work`, or a 'timeout' after `ms`. What `work` gives after that is dropped, its rejection too: it
 * was told as a timeout.
 */
export function within<Value>(clock: Clock, ms: number, work: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => {
      reject(new RaftTransportError('timeout', `no answer within ${ms} ms`))
    })
    work.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}
