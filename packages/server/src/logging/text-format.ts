import type { LogLevel } from './logger.ts'

/** One message, ready to be laid out. */
export interface LogLine {
  readonly level: LogLevel
  readonly time: Date
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

const TERMINAL_LABEL: Readonly<Record<LogLevel, string>> = {
  debug: 'DEBU',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERRO',
}

const FILE_LABEL: Readonly<Record<LogLevel, string>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warning',
  error: 'error',
}

const COLOUR: Readonly<Record<LogLevel, string>> = {
  debug: '37',
  info: '36',
  warn: '33',
  error: '31',
}

/** Fields on a terminal begin in this column, so that those of short messages line up. */
const MESSAGE_WIDTH = 44

/** `INFO[2019-06-28 01:12:45] message   stream=orders`, for a terminal. */
export function terminalLine(line: LogLine, colour: boolean): string {
  const paint = (text: string) => (colour ? `\u001b[${COLOUR[line.level]}m${text}\u001b[0m` : text)
  const message = escapeControls(line.message.trimEnd())
  const fields = Object.entries(line.fields)
  const head = `${paint(TERMINAL_LABEL[line.level])}[${timestamp(line.time)}] `
  if (fields.length === 0) return `${head}${message}\n`
  const rest = fields.map(([name, value]) => `${paint(name)}=${quoted(value)}`)
  return `${head}${message.padEnd(MESSAGE_WIDTH)} ${rest.join(' ')}\n`
}

/** `time="2019-06-28 01:12:45" level=info msg="message" stream=orders`, for files and pipes. */
export function fileLine(line: LogLine): string {
  const parts = [
    `time="${timestamp(line.time)}"`,
    `level=${FILE_LABEL[line.level]}`,
    `msg=${quoted(line.message.trimEnd())}`,
    ...Object.entries(line.fields).map(([name, value]) => `${name}=${quoted(value)}`),
  ]
  return `${parts.join(' ')}\n`
}

/** Local time, to the second, as Liftbridge users know it. */
function timestamp(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}

/** Bare when it consists of harmless characters only, else quoted and escaped. */
function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w\-./@^+:]+$/.test(text) ? text : escapeControls(JSON.stringify(text))
}

/**
 * A message may quote what a peer sent; its line breaks and escape codes must not be obeyed. The
 * escapes are JSON's, so that a JSON line keeps its meaning.
 */
export function escapeControls(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
