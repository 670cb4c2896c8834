/** The figures of a run as a table, as ratios, as targets, and as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Measured } from './driver.ts'
import type { SystemName } from './systems.ts'

/** Figures by case name and system. */
export type Results = ReadonlyMap<string, ReadonlyMap<SystemName, Measured>>

export const systemTitles: Readonly<Record<SystemName, string>> = {
  embedded: 'Liftbridge, embedded NATS',
  external: 'Liftbridge, external NATS',
  jetstream: 'JetStream',
}

const columns = [
  'case',
  'system',
  'msg/s',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'server µs/msg',
  'NATS µs/msg',
  'peak MiB',
  '× JetStream',
]

export function table(results: Results): string {
  const rows: string[][] = [columns]
  for (const [name, bySystem] of results) {
    const baseline = bySystem.get('jetstream')
    for (const [system, measured] of bySystem) {
      rows.push([name, systemTitles[system], ...figures(measured), ratio(measured, baseline)])
    }
  }
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
  return rows.map(line).join('\n')
}

function figures(measured: Measured): string[] {
  const { latency } = measured
  const ms = (value: number): string => (latency.p50 === 0 ? '-' : value.toFixed(3))
  return [
    Math.round(rate(measured)).toLocaleString('en-US'),
    ms(latency.p50),
    ms(latency.p99),
    ms(latency.p999),
    measured.serverCpuUs.toFixed(2),
    measured.natsCpuUs === undefined ? '-' : measured.natsCpuUs.toFixed(2),
    measured.peakResidentMiB.toFixed(0),
  ]
}

export function rate(measured: Measured): number {
  return measured.messages / measured.seconds
}

function ratio(measured: Measured, baseline: Measured | undefined): string {
  if (baseline === undefined || baseline === measured) return '-'
  return (rate(measured) / rate(baseline)).toFixed(2)
}

type Target = {
  readonly text: string
  readonly name: string
  readonly system: SystemName
  /** The round trip is that of plain NATS: the `sync` case of the JetStream system. */
  readonly reached: (
    measured: Measured,
    jetStream: Measured | undefined,
    roundTrip: Measured | undefined,
  ) => boolean
}

/** What this project wants to reach on a machine of two cores; see docs/benchmarks.md. */
const targets: readonly Target[] = [
  {
    text: 'window 20,000 at 200 k msg/s or more, and 5 µs server CPU or less',
    name: 'publish-20000-128-x1',
    system: 'external',
    reached: (measured) => rate(measured) >= 200_000 && measured.serverCpuUs <= 5,
  },
  {
    text: 'window 100 at least as fast as JetStream',
    name: 'publish-100-128-x1',
    system: 'external',
    reached: (measured, jetStream) => jetStream !== undefined && rate(measured) >= rate(jetStream),
  },
  {
    text: 'window 20,000 at 300 k msg/s or more, and 3.5 µs server CPU or less',
    name: 'publish-20000-128-x1',
    system: 'embedded',
    reached: (measured) => rate(measured) >= 300_000 && measured.serverCpuUs <= 3.5,
  },
  {
    text: 'subscribe from earliest at 700 k msg/s or more, and 1.2 µs server CPU or less',
    name: 'subscribe-128-x1',
    system: 'external',
    reached: (measured) => rate(measured) >= 700_000 && measured.serverCpuUs <= 1.2,
  },
  {
    text: 'an acknowledged publish on an open call within 1.5 times one NATS round trip (p50)',
    name: 'publish-1-128-x1',
    system: 'external',
    reached: (measured, _jetStream, roundTrip) =>
      roundTrip !== undefined && measured.latency.p50 <= 1.5 * roundTrip.latency.p50,
  },
  {
    text: 'a unary publish within 1.5 times one NATS round trip (p50)',
    name: 'sync-128',
    system: 'external',
    reached: (measured, _jetStream, roundTrip) =>
      roundTrip !== undefined && measured.latency.p50 <= 1.5 * roundTrip.latency.p50,
  },
]

/** One line for each target whose case was measured, and one for memory. */
export function targetLines(results: Results): string[] {
  const lines: string[] = []
  for (const target of targets) {
    const bySystem = results.get(target.name)
    const measured = bySystem?.get(target.system)
    if (measured === undefined) continue
    const roundTrip = results.get('sync-128')?.get('jetstream')
    const reached = target.reached(measured, bySystem?.get('jetstream'), roundTrip)
    lines.push(`${reached ? 'reached' : 'MISSED '}  ${systemTitles[target.system]}: ${target.text}`)
  }
  const peak = peakOf(results)
  if (peak > 0) {
    const verdict = peak <= 250 ? 'reached' : 'MISSED '
    lines.push(`${verdict}  peak memory under load 250 MiB or less (${peak.toFixed(0)} MiB)`)
  }
  return lines
}

function peakOf(results: Results): number {
  let peak = 0
  for (const bySystem of results.values()) {
    for (const [system, measured] of bySystem) {
      if (system !== 'jetstream') peak = Math.max(peak, measured.peakResidentMiB)
    }
  }
  return peak
}

/** Writes the figures to `bench/results/` as JSON and the table beside them; the paths. */
export function writeFigures(
  results: Results,
  run: { readonly text: string; readonly about: Readonly<Record<string, unknown>> },
): string {
  const folder = join(dirname(fileURLToPath(import.meta.url)), 'results')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, new Date().toISOString().replaceAll(/[:.]/g, '-'))
  const cases = [...results].map(([name, bySystem]) => ({
    case: name,
    systems: Object.fromEntries(bySystem),
  }))
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    arch: arch(),
    node: process.version,
  }
  writeFileSync(`${file}.json`, JSON.stringify({ machine, ...run.about, cases }, undefined, 2))
  writeFileSync(`${file}.txt`, run.text)
  return `${file}.json and .txt`
}
