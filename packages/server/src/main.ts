#!/usr/bin/env -S node --max-semi-space-size=8
/** The process: configuration, signals, exit codes. */
import { readFileSync } from 'node:fs'
import { formatHostPort } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { ConfigError } from './config/config-error.ts'
import { loadConfig, type LoadResult } from './config/load.ts'
import { diffForReload, reloadedConfig } from './config/reload.ts'
import type { Logger } from './logging/logger.ts'
import { createLogger, type ServerLogger } from './logging/server-logger.ts'
import { startServer, type LiftbridgeServer } from './server.ts'
import { firstSteps } from './first-steps.ts'

const EXIT_CONFIGURATION = 1
const EXIT_FAILURE = 1
/** What is stored of the metadata has to be read again: EX_IOERR, as sysexits.h names it. */
const EXIT_METADATA_FAILED = 74
/** A second signal does not wait: 128 + SIGINT, as shells report it. */
const EXIT_FORCED = 130

type Loaded = Extract<LoadResult, { kind: 'config' }>

function version(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  )
  return (manifest as { version: string }).version
}

function load(): LoadResult {
  return loadConfig({ argv: process.argv.slice(2), env: process.env, version: version() })
}

async function main(): Promise<void> {
  const loaded = loadOrExit()
  const log = createLogger(loaded.config.logging)
  const { logger } = log
  // A throw that nobody caught leaves state that nobody knows: tell it and stop [reliability 3e].
  process.on('uncaughtException', (error) => fatal(logger, 'uncaught exception', error))
  process.on('unhandledRejection', (error) => fatal(logger, 'unhandled rejection', error))
  for (const warning of loaded.warnings) logger.warn(warning)
  const giveUp = new AbortController()
  let server: LiftbridgeServer | undefined
  onTermination(logger, async () => {
    giveUp.abort()
    await server?.stop()
  })
  let running = loaded.config
  process.on('SIGHUP', () => {
    const config = reload(running, log)
    if (!config) return
    running = config
    server?.reload(config)
  })
  try {
    const key = process.env['LIFTBRIDGE_ENCRYPTION_KEY']
    server = await startServer(
      {
        config: loaded.config,
        logger,
        version: version(),
        masterKey: key === undefined ? undefined : Buffer.from(key),
        // The log has the reason. What is handed over now would be in the other one's name.
        onIdLost: () => process.exit(EXIT_FAILURE),
        // The log has the reason and the way out. A supervisor starts it again.
        onFailed: () => process.exit(EXIT_METADATA_FAILED),
      },
      giveUp.signal,
    )
  } catch (error) {
    if (giveUp.signal.aborted) process.exit(0)
    logger.error(`server could not start: ${textOf(error)}`)
    process.exit(EXIT_FAILURE)
  }
  // A SIGHUP may have come while the server waited for NATS.
  if (running !== loaded.config) server.reload(running)
  logger.info(`Serving on ${formatHostPort(server.address)}, data in ${server.dataDir}`)
  if (isTriedOut(loaded)) process.stdout.write(firstSteps(server))
}

/** Somebody looks on, or came by `npm start`; a service's journal wants no tutorial. */
function isTriedOut({ config }: Loaded): boolean {
  const looksOn = process.stdout.isTTY || process.env['npm_lifecycle_event'] === 'start'
  return looksOn && config.logging.format === 'text' && config.tls.keyPair === undefined
}

function loadOrExit(): Loaded {
  try {
    const loaded = load()
    if (loaded.kind === 'config') return loaded
    process.stdout.write(loaded.text.endsWith('\n') ? loaded.text : `${loaded.text}\n`)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(EXIT_CONFIGURATION)
  }
}

/** The first SIGTERM or SIGINT drains, the second ends the process at once. */
function onTermination(logger: Logger, stop: () => Promise<void>): void {
  let stopping = false
  const onSignal = (signal: string): void => {
    if (stopping) process.exit(EXIT_FORCED)
    stopping = true
    logger.info(`Shutting down... (${signal}; once more ends it at once)`)
    stop().then(
      () => {
        logger.info('Shut down')
        process.exit(0)
      },
      (error: unknown) => fatal(logger, 'shutdown failed', error),
    )
  }
  process.on('SIGTERM', () => onSignal('SIGTERM'))
  process.on('SIGINT', () => onSignal('SIGINT'))
}

/**
 * SIGHUP: the configuration to go on with, which has taken over what can change at run time; says
 * what cannot. Undefined when the new one is no good: the running one stays.
 */
function reload(running: Config, log: ServerLogger): Config | undefined {
  const { logger } = log
  try {
    const loaded = load()
    if (loaded.kind !== 'config') return undefined
    const { applied, needsRestart } = diffForReload(running, loaded.config)
    const config = reloadedConfig(running, loaded.config)
    log.setLevel(config.logging.level)
    logger.info('configuration reloaded', { applied: applied.join(', ') || 'nothing changed' })
    if (needsRestart.length > 0) {
      logger.warn('these settings changed too, but take a restart', {
        settings: needsRestart.join(', '),
      })
    }
    return config
  } catch (error) {
    logger.error(`configuration not reloaded, the running one stays: ${textOf(error)}`)
    return undefined
  }
}

function fatal(logger: Logger, what: string, error: unknown): void {
  logger.error(what, { error, stack: error instanceof Error ? error.stack : undefined })
  process.exit(EXIT_FAILURE)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

await main()
