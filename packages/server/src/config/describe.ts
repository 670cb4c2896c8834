import { redactText } from '../logging/redact.ts'
import type { Config } from './config.ts'
import { formatDuration } from './schema/duration.ts'
import type { KeySpec } from './schema/key-spec.ts'
import { formatSize } from './schema/size.ts'
import { type Key, specs } from './schema/schema.ts'

/**
 * The settings in force, as a file would write them, for a log or a support request. Secrets and
 * the user parts of URLs are masked [A6]; keys that are unset are left out.
 */
export function describeConfig(config: Config): ReadonlyMap<Key, string> {
  const described = new Map<Key, string>()
  for (const [key, spec] of specs) {
    const value = config.settings[key]
    if (value !== undefined) described.set(key, describeValue(spec, value))
  }
  return described
}

function describeValue(
  spec: KeySpec,
  value: string | number | boolean | readonly string[],
): string {
  if (spec.secret === true) return '***'
  if (typeof value === 'number') {
    if (spec.type === 'duration') return formatDuration(value)
    return spec.type === 'size' ? formatSize(value) : String(value)
  }
  return redactText(Array.isArray(value) ? value.join(' ') : String(value))
}
