import { stringify } from 'yaml'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { loadConfig } from './load.ts'

/** Settings by their key in the configuration file: `'clustering.min.insync.replicas': 2`. */
export type Settings = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** What the messages call the source of a setting that is wrong. */
const SOURCE = 'settings'

/**
 * The configuration for a server that is started from code, checked like a file. The environment
 * is not looked at. Throws ConfigError.
 */
export function configFrom(settings: Settings): Config {
  const loaded = loadConfig({
    argv: ['--config', SOURCE],
    env: {},
    version: '',
    readFile: () => Buffer.from(stringify(settings)),
  })
  if (loaded.kind === 'config') return loaded.config
  throw new ConfigError([`${SOURCE}: nothing to configure`])
}
