/** Least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * What a message is about: `stream`, `partition`, `epoch`, `error`. Values are printed in full, so
 * message bodies do not belong here; passwords and user parts of URLs are masked [A6].
 */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * The server's log. Owned here and kept small, so that a test or the simulator brings its own.
 * No method throws.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /**
   * A message that one bad peer could cause thousands of times a second: after the first few in a
   * window the rest with the same `key` are only counted, and the count goes out with the next.
   */
  limited(key: string, level: LogLevel, message: string, fields?: LogFields): void
  /** A logger that adds `fields` to every message. It shares level, output and limits. */
  child(fields: LogFields): Logger
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  limited() {},
  child() {
    return silentLogger
  },
}
