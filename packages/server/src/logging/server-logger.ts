import { pino } from 'pino'
import { FloodLimit } from './flood-limit.ts'
import type { LogFields, Logger, LogLevel } from './logger.ts'
import { plainFields, redactText } from './redact.ts'
import { escapeControls, fileLine, terminalLine } from './text-format.ts'

export interface ServerLoggerOptions {
  readonly level: LogLevel
  readonly format: 'text' | 'json'
  /** Takes one line with its line break. Standard error when absent. */
  readonly write?: (line: string) => void
  /** Lays text out for a terminal; whether standard error is one, when absent. */
  readonly terminal?: boolean
  /** Colours on a terminal; on unless NO_COLOR is set, when absent. */
  readonly colour?: boolean
  readonly now?: () => Date
}

/** The log of a process, and the hand on its level. */
export interface ServerLogger {
  readonly logger: Logger
  /** Changes the level of the logger and of all its children. */
  setLevel(level: LogLevel): void
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 }

/** What all children of one logger share. */
interface Output {
  severity: number
  readonly limit: FloodLimit
  readonly now: () => Date
  readonly emit: (level: LogLevel, message: string, fields: Record<string, unknown>) => void
}

/** Builds the process's log. Text in the two layouts of logrus, or pino's JSON lines. */
export function createLogger(options: ServerLoggerOptions): ServerLogger {
  const now = options.now ?? (() => new Date())
  const write = options.write ?? standardError()
  const output: Output = {
    severity: SEVERITY[options.level],
    limit: new FloodLimit(),
    now,
    emit: options.format === 'json' ? jsonEmit(write, now) : textEmit(options, write, now),
  }
  return {
    logger: new OutputLogger(output, {}),
    setLevel: (level) => {
      output.severity = SEVERITY[level]
    },
  }
}

/**
 * Writes to standard error, and goes on in silence when nobody reads it any more: a server that
 * serves must not end because the pipe of its log was closed.
 */
function standardError(): (line: string) => void {
  if (!process.stderr.listeners('error').includes(ignoreClosedPipe)) {
    process.stderr.on('error', ignoreClosedPipe)
  }
  return (line) => void process.stderr.write(line)
}

function ignoreClosedPipe(): void {
  // There is no place left to report this to.
}

function jsonEmit(write: (line: string) => void, now: () => Date): Output['emit'] {
  const json = pino(
    {
      base: null,
      level: 'debug',
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    // JSON leaves the control characters above 0x7f as they are; a terminal obeys them.
    { write: (line) => write(`${escapeControls(line.trimEnd())}\n`) },
  )
  return (level, message, fields) => json[level](fields, message)
}

function textEmit(
  options: ServerLoggerOptions,
  write: (line: string) => void,
  now: () => Date,
): Output['emit'] {
  const terminal = options.terminal ?? process.stderr.isTTY
  const colour = options.colour ?? !process.env['NO_COLOR']
  return (level, message, fields) => {
    const line = { level, time: now(), message, fields }
    write(terminal ? terminalLine(line, colour) : fileLine(line))
  }
}

class OutputLogger implements Logger {
  readonly #output: Output
  readonly #fields: Record<string, unknown>

  constructor(output: Output, fields: Record<string, unknown>) {
    this.#output = output
    this.#fields = fields
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields)
  }

  limited(key: string, level: LogLevel, message: string, fields?: LogFields): void {
    if (SEVERITY[level] < this.#output.severity) return
    const admission = this.#output.limit.admit(key, this.#output.now().getTime())
    if (admission.kind === 'drop') return
    const { suppressed } = admission
    this.#log(level, message, suppressed === 0 ? fields : { ...fields, suppressed })
  }

  child(fields: LogFields): Logger {
    return new OutputLogger(this.#output, { ...this.#fields, ...plainFields(fields) })
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (SEVERITY[level] < this.#output.severity) return
    const own = fields === undefined ? {} : plainFields(fields)
    this.#output.emit(level, redactText(message), unclashed({ ...this.#fields, ...own }))
  }
}

/** A field named like a part of the line itself would make two of that name. */
function unclashed(fields: Record<string, unknown>): Record<string, unknown> {
  for (const name of ['level', 'time', 'msg']) {
    if (!(name in fields)) continue
    fields[`fields.${name}`] = fields[name]
    delete fields[name]
  }
  return fields
}
