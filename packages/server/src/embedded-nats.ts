/** The NATS inside the process, as the configuration wants it. */
import { readFileSync } from 'node:fs'
import {
  formatNatsConfigProblems,
  type LameDuckPace,
  NatsServer,
  parseNatsConfig,
  type NatsServerEvent,
  type NatsServerOptions,
} from '@liftbridge/nats'
import type { NatsConfig } from './config/config.ts'
import type { Logger } from './logging/logger.ts'

export type EmbeddedNatsOptions = {
  readonly embedded: NonNullable<NatsConfig['embedded']>
  readonly logger: Logger
  /** `logging.nats`: what its clients do is told, too. */
  readonly verbose: boolean
}

/** Makes the server without starting it. Throws an Error whose text names file and line. */
export function embeddedNats(options: EmbeddedNatsOptions): NatsServer {
  const { embedded, logger } = options
  const told = new Set<NatsServerEvent['kind']>(WARNED)
  return new NatsServer({
    ...settingsOf(embedded, logger),
    onEvent: (event) => {
      if (told.has(event.kind)) {
        logger.limited(`nats-${event.kind}`, 'warn', `nats: ${event.kind}`, event)
      } else if (options.verbose) {
        logger.info(`nats: ${event.kind}`, event)
      } else {
        logger.debug(`nats: ${event.kind}`, event)
      }
    },
  })
}

/** What an operator should know of without asking. */
const WARNED: readonly NatsServerEvent['kind'][] = [
  'client-refused',
  'unauthorized',
  'slow-consumer',
]

/**
 * Nobody waits long for a server that stops: unless the file says otherwise, its clients are told,
 * and sent away within a second.
 */
const STOPPING: LameDuckPace = { graceMs: 250, durationMs: 750 }

/** The file says where to listen, too, unless our own configuration does. */
function settingsOf(embedded: EmbeddedNatsOptions['embedded'], logger: Logger): NatsServerOptions {
  const { configFile: file, host, port } = embedded
  const own = {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
  }
  const portSetting = '--embedded-nats-port (or the setting nats.embedded.port)'
  if (file === undefined) return { lameDuck: STOPPING, ...own, portSetting }
  const read = parseNatsConfig(readText(file), {
    file,
    readFile: (path) => readFileSync(path, 'utf8'),
    env: process.env,
  })
  if (read.kind === 'refused') {
    throw new Error(
      `nats.embedded.config cannot be used:\n${formatNatsConfigProblems(read.problems)}`,
    )
  }
  if (read.ignored.length > 0) {
    const settings = formatNatsConfigProblems(read.ignored)
    logger.warn('nats: settings of the configuration file without effect here', { settings })
  }
  const inFile = `port in ${file}, or with --embedded-nats-port`
  return {
    lameDuck: STOPPING,
    ...read.options,
    ...own,
    portSetting: port === undefined ? inFile : portSetting,
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`nats.embedded.config: ${file} cannot be read: ${reason}`, {
      cause: error,
    })
  }
}
