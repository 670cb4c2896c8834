/** O7: an expected offset is a compare-and-set: whoever is acknowledged got the offset it named. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'

export function expectedOffsets(cluster: Cluster): Checker {
  return {
    atEnd() {
      const controlled = new Set(
        cluster.plan.steps.flatMap(({ action }) =>
          action.kind === 'create' && action.concurrency ? [action.stream] : [],
        ),
      )
      const uncontrolled = new Set(
        cluster.plan.steps.flatMap(({ action }) =>
          action.kind === 'create' && !action.concurrency ? [action.stream] : [],
        ),
      )
      for (const { stream, expected, outcome, offset, value } of cluster.history.attempts) {
        if (expected < 0 || outcome !== 'acked') continue
        if (!controlled.has(stream) || uncontrolled.has(stream)) continue
        if (offset === expected) continue
        throw new Violation(
          'O7',
          `${value.replace(/\.+$/, '')} expected ${expected} and got ${offset}`,
        )
      }
    },
  }
}
