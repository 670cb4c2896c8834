import { SEGMENT_MAX_AGE_LEAST_MS } from './config.ts'
import type { Given } from './parse-value.ts'
import { type Key, specs, type Values } from './schema/schema.ts'
import { describeOrigin } from './sources/setting.ts'

export interface Findings {
  readonly problems: string[]
  readonly warnings: string[]
}

/**
 * The rules between several keys. What would weaken security in silence (one half of a key pair,
 * authorization without authentication) is a problem; what is merely surprising is a warning.
 */
export function checkTogether(
  values: Values,
  given: ReadonlyMap<Key, Given>,
  findings: Findings,
): void {
  const problem = (key: Key, text: string) => {
    const origin = given.get(key)?.origin
    findings.problems.push(origin === undefined ? text : `${describeOrigin(origin)}: ${text}`)
  }
  for (const [one, other] of PAIRS) {
    if (values[one] !== undefined && values[other] === undefined) {
      problem(one, `${one} needs ${other} as well`)
    }
  }
  checkNotYet(values, given, { problem, findings })
  checkTls(values, problem)
  checkNats(values, given, { problem, findings })
  const segmentMaxAgeMs = values['streams.segment.max.age'] ?? 0
  if (segmentMaxAgeMs > 0 && segmentMaxAgeMs < SEGMENT_MAX_AGE_LEAST_MS) {
    findings.warnings.push('streams.segment.max.age is below 1s and taken as 1s')
  }
  if (values['telemetry.enabled']) {
    findings.warnings.push('telemetry.enabled has no effect: this server sends no telemetry')
  }
  if (values['data.dir'] === undefined) {
    findings.warnings.push(
      'data.dir is not set: streams are stored under /tmp, which many systems empty at a restart',
    )
  }
}

const PAIRS = [
  ['tls.key', 'tls.cert'],
  ['tls.cert', 'tls.key'],
  ['nats.tls.key', 'nats.tls.cert'],
  ['nats.tls.cert', 'nats.tls.key'],
  ['nats.password', 'nats.user'],
] as const

type Report = (key: Key, text: string) => void

/** What files may hold but this server does not do: told where it is missed, refused where it matters. */
function checkNotYet(
  values: Values,
  given: ReadonlyMap<Key, Given>,
  to: { readonly problem: Report; readonly findings: Findings },
): void {
  for (const key of given.keys()) {
    const { notYet, noEffect } = specs.get(key) ?? {}
    const value = values[key]
    const off = value === false || value === 0 || (Array.isArray(value) && value.length === 0)
    if (off) continue
    if (notYet === 'refuses') to.problem(key, `${key} is not supported by this version: remove it`)
    if (notYet === 'warns') to.findings.warnings.push(`${key} has no effect in this version`)
    if (noEffect !== undefined) to.findings.warnings.push(`${key} has no effect: ${noEffect}`)
  }
}

function checkTls(values: Values, problem: Report): void {
  if (values['tls.client.auth.enabled'] && values['tls.cert'] === undefined) {
    problem('tls.client.auth.enabled', 'tls.client.auth.enabled needs tls.cert and tls.key')
  }
}

function checkNats(
  values: Values,
  given: ReadonlyMap<Key, Given>,
  to: { readonly problem: Report; readonly findings: Findings },
): void {
  if (values['nats.token'] !== undefined && values['nats.user'] !== undefined) {
    to.problem('nats.token', 'nats.token and nats.user exclude each other: keep one')
  }
  for (const url of values['nats.servers']) {
    if (!isNatsUrl(url)) {
      to.problem('nats.servers', 'nats.servers: write each server as nats://host:port')
    }
  }
  if (values['nats.servers'].length === 0) to.problem('nats.servers', 'nats.servers names none')
  if (values['nats.embedded'] && given.has('nats.servers')) {
    to.findings.warnings.push('nats.servers is not used: nats.embedded is on')
  }
}

/** The offending URL is not shown, since it may hold a password [A6]. */
function isNatsUrl(text: string): boolean {
  return /^(?:(?:nats|tls|ws|wss):\/\/)?(?:[^\s@/]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s@:/[\]]+)(?::\d{1,5})?\/?$/.test(
    text,
  )
}
