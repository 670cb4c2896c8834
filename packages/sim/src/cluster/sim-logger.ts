import type { LogFields, Logger, LogLevel } from '@liftbridge/server'

/** Told of everything a server logs. */
export type LogSink = (level: LogLevel, message: string, fields: LogFields | undefined) => void

/** A server's log that goes into the trace of the run. */
export class SimLogger implements Logger {
  readonly #sink: LogSink
  readonly #fields: LogFields | undefined

  constructor(sink: LogSink, fields?: LogFields) {
    this.#sink = sink
    this.#fields = fields
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields)
  }

  limited(_key: string, level: LogLevel, message: string, fields?: LogFields): void {
    this.#write(level, message, fields)
  }

  child(fields: LogFields): Logger {
    return new SimLogger(this.#sink, { ...this.#fields, ...fields })
  }

  #write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    const all = this.#fields ? { ...this.#fields, ...fields } : fields
    this.#sink(level, message, all)
  }
}

/** Fields as a person reads them, on one line. */
export function fieldsText(fields: LogFields | undefined): string {
  if (!fields) return ''
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${valueText(value)}`)
    .join('')
}

function valueText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'object' && value !== null) {
    return JSON.stringify(value, (_, part: unknown) =>
      typeof part === 'bigint' ? String(part) : part instanceof Error ? part.message : part,
    )
  }
  return String(value)
}
