import type { Figures } from './batch.ts'

/** What a batch did, in figures. `busyMs` counts the time of all processes. */
export function figuresText(figures: Figures, elapsedMs: number): string {
  const { seeds, twice, events, simulatedMs, busyMs, failures, marks } = figures
  const perSecond = busyMs > 0 ? Math.round((events / busyMs) * 1_000) : 0
  const lines = [
    `${seeds} runs, ${seeds - failures.length} passed, ${failures.length} failed; ${twice} ran twice`,
    `${events} events, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${(elapsedMs / 1_000).toFixed(0)} s`,
    `${perSecond} events/s per core, ${(simulatedMs / busyMs).toFixed(0)} simulated s per s`,
    `marks: ${Object.entries(marks)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    ...failures.map(({ name, text }) => `FAILED ${name}: ${text.split('\n')[0]}`),
  ]
  return lines.join('\n')
}
