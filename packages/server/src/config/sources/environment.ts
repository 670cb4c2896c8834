import { environmentName, isKey, lookUp, specs } from '../schema/schema.ts'
import type { Setting } from './setting.ts'

const PREFIX = 'LIFTBRIDGE_'

/** Read elsewhere in the server: they hold secrets that belong in no file. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(['LIFTBRIDGE_ENCRYPTION_KEY'])

/**
 * What Kubernetes injects into every pod for a Service whose name begins with "liftbridge":
 * LIFTBRIDGE_SERVICE_HOST, LIFTBRIDGE_NATS_SERVICE_PORT_CLIENT, LIFTBRIDGE_PORT_9292_TCP_ADDR, …
 */
const SERVICE_LINK =
  /(?:^|_)(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/

/** Its companion, `LIFTBRIDGE_PORT=tcp://10.0.0.1:9292`, which Go Liftbridge read as port 0 [D-60]. */
const SERVICE_LINK_VALUE = /^(?:tcp|udp|sctp):\/\//

const keysByVariable: ReadonlyMap<string, string> = new Map(
  [...specs].flatMap(([key, spec]) =>
    [key, ...(spec.older ?? [])].map((name) => [environmentName(name), name] as const),
  ),
)

export interface EnvironmentSettings {
  readonly settings: readonly Setting[]
  readonly warnings: readonly string[]
}

/**
 * The settings in the environment: `LIFTBRIDGE_LOGGING_LEVEL`, or with the dots kept,
 * `LIFTBRIDGE_LOGGING.LEVEL`. Empty variables count as unset. A variable that stands for nothing
 * is reported and left alone, since the environment is not this server's own.
 */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): EnvironmentSettings {
  const settings: Setting[] = []
  const warnings: string[] = []
  for (const variable of Object.keys(environment).toSorted()) {
    const value = environment[variable]
    if (!variable.startsWith(PREFIX) || value === undefined || value.trim() === '') continue
    if (OTHER_VARIABLES.has(variable)) continue
    const name = settingName(variable)
    if (SERVICE_LINK_VALUE.test(value) && variable.endsWith('_PORT')) {
      if (name !== undefined) warnings.push(serviceLinkWarning(variable))
      continue
    }
    if (name !== undefined) {
      const origin = { kind: 'environment', variable } as const
      settings.push({ name, written: { kind: 'text', text: value }, origin })
    } else if (!SERVICE_LINK.test(variable.slice(PREFIX.length))) {
      warnings.push(`environment variable ${variable} stands for no setting and is ignored`)
    }
  }
  return { settings, warnings }
}

function serviceLinkWarning(variable: string): string {
  return (
    `environment variable ${variable} is ignored: its value looks injected by Kubernetes for a ` +
    'Service of that name (set enableServiceLinks: false to be rid of it)'
  )
}

function settingName(variable: string): string | undefined {
  const upper = variable.toUpperCase()
  const underscored = keysByVariable.get(upper)
  if (underscored !== undefined) return underscored
  const dotted = upper.slice(PREFIX.length).toLowerCase()
  if (isKey(dotted) || lookUp(dotted).kind === 'older') return dotted
  return undefined
}
