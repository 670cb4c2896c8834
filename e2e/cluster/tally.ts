/** What all clusters of a run came to, for the figures at its end. */
import { thousands } from '../report.ts'

export type FaultOutcome = {
  readonly name: string
  /** Messages acknowledged by ALL from the calm before to the calm after it, and the time of it. */
  readonly acked: number
  readonly seconds: number
  /** Messages per second that were acknowledged before it. */
  readonly calmRate: number
  /** Milliseconds from it to the next ack of each partition whose leader it hit. */
  readonly outagesMs: readonly number[]
  readonly isKill: boolean
  /** Milliseconds from its end until all replicas were in sync. */
  readonly healedMs: number
}

/** From a kill to the next ack, by the 99th percentile. */
const OUTAGE_P99_MS = 5_000

export class Tally {
  readonly #outcomes: FaultOutcome[] = []
  #messagesRead = 0
  #anomalies = 0
  #watermarks = 0

  fault(outcome: FaultOutcome): void {
    this.#outcomes.push(outcome)
  }

  verified(found: { messages: number; anomalies: number; watermarks: number }): void {
    this.#messagesRead += found.messages
    this.#anomalies += found.anomalies
    this.#watermarks += found.watermarks
  }

  /** One figure a line; throws, with all of them, when a promise about time is broken. */
  figures(): string {
    const outcomes = this.#outcomes
    const acked = sum(outcomes.map((outcome) => outcome.acked))
    const seconds = sum(outcomes.map((outcome) => outcome.seconds))
    const kills = outcomes.filter(({ isKill }) => isKill).flatMap((outcome) => outcome.outagesMs)
    const others = outcomes.filter(({ isKill }) => !isKill).flatMap((outcome) => outcome.outagesMs)
    const lines = [
      ...this.#kinds(),
      `${thousands(acked)} acknowledged by ALL, ${thousands(acked / seconds)}/s over all faults`,
      `calm before the faults, messages/s: ${spread(outcomes.map(({ calmRate }) => calmRate))}`,
      `${thousands(this.#messagesRead)} messages read back, ` +
        `${thousands(this.#watermarks)} high watermarks told, ${this.#anomalies} anomalies`,
      `kill to first ack, ms: ${spread(kills)}`,
      `other faults to first ack, ms: ${spread(others)}`,
      `all in sync after the end of a fault, ms: ${spread(outcomes.map((it) => it.healedMs))}`,
    ]
    const text = lines.join('\n     ')
    if (percentile(kills, 0.99) > OUTAGE_P99_MS) throw new Error(text)
    return text
  }

  #kinds(): string[] {
    const counts = new Map<string, number>()
    for (const { name } of this.#outcomes) counts.set(name, (counts.get(name) ?? 0) + 1)
    return [...counts].map(([name, count]) => `${count} × ${name}`)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'none'
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => thousands(percentile(values, share)))
  return `p50 ${p50}, p99 ${p99}, most ${most} of ${values.length}`
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0
}
