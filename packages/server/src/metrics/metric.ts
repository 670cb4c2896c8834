/** One measurement as a row of a table: everything is read when somebody asks, nothing is kept. */
import { Counter, Gauge, type Registry } from 'prom-client'

export type Metric = {
  /** Ends in its unit; `_total` for what only grows. docs/metrics.md has a line for each. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** Called for each scrape. What cannot be told yet is left out, by no samples. */
  readonly read: () => Iterable<Sample>
}

export type Sample = {
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}

/** A metric without labels; undefined leaves it out. */
export function single(name: string, help: string, read: () => number | undefined): Metric {
  return {
    name,
    help,
    read: () => {
      const value = read()
      return value === undefined ? [] : [{ value }]
    },
  }
}

export function register(registry: Registry, metrics: readonly Metric[]): void {
  for (const { name, help, labels = [], read } of metrics) {
    const options = { name, help, labelNames: [...labels], registers: [registry] }
    if (name.endsWith('_total')) {
      const counter: Counter = new Counter({
        ...options,
        collect: () => {
          forget(counter, labels)
          for (const { labels: of = {}, value } of read()) counter.inc(of, value)
        },
      })
    } else {
      const gauge: Gauge = new Gauge({
        ...options,
        collect: () => {
          forget(gauge, labels)
          for (const { labels: of = {}, value } of read()) gauge.set(of, value)
        },
      })
    }
  }
}

/** Without labels a reset would leave a 0, and 0 is a statement. */
function forget(metric: Counter | Gauge, labels: readonly string[]): void {
  if (labels.length > 0) metric.reset()
  else metric.remove()
}
