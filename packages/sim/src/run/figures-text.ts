import type { Figures } from './batch.ts'

/** What a batch did, in figures. */
export function figuresText(figures: Figures, elapsedMs: number): string {
  const { seeds, twice, events, simulatedMs, busyMs, cpuMs, failures, marks } = figures
  const perSecond = (ms: number): number => (ms > 0 ? Math.round((events / ms) * 1_000) : 0)
  const lines = [
    `${seeds} runs, ${seeds - failures.length} passed, ${failures.length} failed; ${twice} ran twice`,
    `${events} events, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${(elapsedMs / 1_000).toFixed(0)} s`,
    `${perSecond(cpuMs)} events per second of a core, ${perSecond(busyMs)} per second of a worker, ${perSecond(elapsedMs)} per second in all`,
    `${(simulatedMs / elapsedMs).toFixed(0)} simulated s per s`,
    `marks: ${Object.entries(marks)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    ...failures.map(({ name, text }) => `FAILED ${name}: ${text.split('\n')[0]}`),
  ]
  return lines.join('\n')
}
