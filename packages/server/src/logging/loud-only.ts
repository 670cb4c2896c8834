import type { Logger } from './logger.ts'

/** The same log without what only explains: for parts that are told to be quiet. */
export function loudOnly(logger: Logger): Logger {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: (message, fields) => logger.warn(message, fields),
    error: (message, fields) => logger.error(message, fields),
    limited: (key, level, message, fields) => {
      if (level === 'warn' || level === 'error') logger.limited(key, level, message, fields)
    },
    child: (fields) => loudOnly(logger.child(fields)),
  }
}
