/** The NATS inside the process, as the configuration wants it. */
import { readFileSync } from 'node:fs'
import {
  formatNatsConfigProblems,
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

/** With a configuration file, the file says where to listen, too. */
function settingsOf(embedded: EmbeddedNatsOptions['embedded'], logger: Logger): NatsServerOptions {
  const { configFile: file, host, port } = embedded
  const portSetting = 'nats.embedded.port (or LIFTBRIDGE_NATS_EMBEDDED_PORT)'
  if (file === undefined) return { host, port, portSetting }
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
  return { ...read.options, portSetting: `port in ${file} (nats.embedded.config)` }
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
