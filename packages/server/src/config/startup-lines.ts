import { formatHostPort } from './addresses.ts'
import type { Config, StreamsConfig } from './config.ts'
import { redactText } from '../logging/redact.ts'

/**
 * What a server says of itself at start, in the words and columns that Liftbridge's users and
 * their scripts know [LB control-plane 6.5]. User parts of NATS URLs are masked [A6].
 */
export function startupLines(config: Config, serverId: string, version: string): readonly string[] {
  const { embedded, servers } = config.nats
  const nats = embedded === undefined ? servers : [embeddedText(embedded)]
  const { timeMs } = config.streams.autoPause
  return [
    line('Liftbridge Version', version),
    line('Server ID', serverId),
    line('Namespace', config.clustering.namespace),
    line('NATS Servers', `[${nats.map(redactText).join(' ')}]`),
    line('Default Retention Policy', retentionText(config.streams)),
    line('Default Partition Pausing', timeMs === 0 ? 'disabled' : humanDuration(timeMs)),
  ]
}

/** Where the embedded NATS listens, as far as our own configuration says. */
function embeddedText(embedded: NonNullable<Config['nats']['embedded']>): string {
  const { host, port, configFile } = embedded
  const isKnown = configFile === undefined || (host !== undefined && port !== undefined)
  if (!isKnown) return `embedded, ${configFile}`
  return `nats://${formatHostPort({ host: host ?? '127.0.0.1', port: port ?? 4222 })}`
}

const LABEL_WIDTH = 27

function line(label: string, value: string): string {
  return `${`${label}:`.padEnd(LABEL_WIDTH)}${value}`
}

/** `[Messages: 1,000, Size: 1.0 GiB, Age: 1 week, Compact: false]`. */
export function retentionText(streams: Pick<StreamsConfig, 'retention' | 'compact'>): string {
  const { maxMessages, maxBytes, maxAgeMs } = streams.retention
  const limits: string[] = []
  if (maxMessages > 0) limits.push(`Messages: ${withCommas(maxMessages)}`)
  if (maxBytes > 0) limits.push(`Size: ${humanSize(maxBytes)}`)
  if (maxAgeMs > 0) limits.push(`Age: ${humanDuration(maxAgeMs)}`)
  const text = limits.length === 0 ? 'no limits' : limits.join(', ')
  return `[${text}, Compact: ${streams.compact.enabled}]`
}

function withCommas(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}

/** Binary units with one decimal below ten, none above: `1.0 GiB`, `256 MiB`, `9.8 KiB`. */
export function humanSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  if (unit === 0) return `${bytes} B`
  const rounded = Math.round(value * 10) / 10
  return `${rounded < 10 ? rounded.toFixed(1) : rounded.toFixed(0)} ${units[unit]}`
}

const HUMAN_UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['year', 365 * 86_400_000],
  ['week', 7 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
  ['millisecond', 1],
  ['microsecond', 0.001],
]

/** Every unit that is not zero, largest first: `1 week`, `1 day 12 hours`. */
export function humanDuration(ms: number): string {
  let restUs = Math.round(ms * 1000)
  const parts: string[] = []
  for (const [unit, unitMs] of HUMAN_UNITS) {
    const unitUs = Math.round(unitMs * 1000)
    const count = Math.floor(restUs / unitUs)
    restUs -= count * unitUs
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`)
  }
  return parts.length === 0 ? '0 seconds' : parts.join(' ')
}
