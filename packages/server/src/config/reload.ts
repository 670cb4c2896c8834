import { type Config, toConfig } from './config.ts'
import { type Key, specs, type Values } from './schema/schema.ts'

export interface ReloadDiff {
  /** Keys that changed and take effect at once. */
  readonly applied: readonly Key[]
  /** Keys that changed but keep their old value until a restart. */
  readonly needsRestart: readonly Key[]
}

/** Compares the running configuration with a freshly loaded one, for SIGHUP. */
export function diffForReload(running: Config, loaded: Config): ReloadDiff {
  const changed = [...specs.keys()].filter((key) => !same(running.settings, loaded.settings, key))
  return {
    applied: changed.filter((key) => specs.get(key)?.reload === true),
    needsRestart: changed.filter((key) => specs.get(key)?.reload !== true),
  }
}

/** The configuration to run on after a reload: `running`, with what can be taken of `loaded`. */
export function reloadedConfig(running: Config, loaded: Config): Config {
  const { applied } = diffForReload(running, loaded)
  const taken = Object.fromEntries(applied.map((key) => [key, loaded.settings[key]]))
  const addresses = { bind: running.bind, advertised: running.advertised }
  return toConfig({ ...running.settings, ...taken }, addresses, running.dataDir)
}

function same(a: Values, b: Values, key: Key): boolean {
  return JSON.stringify(a[key]) === JSON.stringify(b[key])
}
