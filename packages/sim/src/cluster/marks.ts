/**
 * Rare situations by name. A simulator that never meets them proves nothing about them, so a batch
 * in which one of those that are owed stays at zero fails [reliability 3a].
 */
export class Marks {
  readonly #counts = new Map<string, number>()

  hit(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  add(other: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(other)) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count)
    }
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

/** What a server's log tells of rare situations: a part of the message, and the mark's name. */
const LOG_MARKS: readonly (readonly [string, string])[] = [
  ['partition fenced', 'partition.fenced'],
  ['an incomplete tail was cut off', 'log.tail-cut'],
  ['a hint file was made again', 'log.hint-rebuilt'],
  ['a hint file could not be written', 'log.hint-not-written'],
  ['the log is fenced', 'log.fenced'],
  ['append failed', 'log.append-failed'],
  ['an operation changed nothing', 'metadata.inert'],
  ['partition paused: it was idle', 'partition.auto-paused'],
]

/** The mark that a line of a server's log stands for. */
export function markOfLog(message: string): string | undefined {
  return LOG_MARKS.find(([part]) => message.includes(part))?.[1]
}

/** What a long batch must have met. */
export const OWED_MARKS: readonly string[] = [
  'fault.kill',
  'fault.power-cut',
  'fault.terminate',
  'fault.freeze',
  'fault.wipe',
  'fault.clock',
  'fault.disk-full',
  'fault.disk-slow',
  'fault.disk-error',
  'fault.nats-restart',
  'fault.cut',
  'fault.route',
  'nats.lost',
  'nats.duplicated',
  'nats.no-responders',
  'nats.disconnected',
  'log.tail-cut',
  'log.hint-rebuilt',
  'log.append-failed',
  'log.fenced',
  'partition.fenced',
  'metadata.inert',
  'disk.sync-error',
  'disk.write-error',
  'publish.acked',
  'publish.refused',
  'publish.unknown',
]
