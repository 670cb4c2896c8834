/**
 * Writes the tables of `docs/configuration.md` from the table of keys that the server parses with.
 *
 *     node scripts/config-docs.ts           rewrites the parts between the markers
 *     node scripts/config-docs.ts --check   writes nothing; fails when the page is stale
 */
import { formatDuration } from '../packages/server/src/config/schema/duration.ts'
import type { KeySpec } from '../packages/server/src/config/schema/key-spec.ts'
import { environmentName, type Key, specs } from '../packages/server/src/config/schema/schema.ts'
import { formatSize } from '../packages/server/src/config/schema/size.ts'
import { generatedPage, runGenerator, table, type GeneratedPage } from './generated-page.ts'

export const configurationPage: GeneratedPage = generatedPage(
  'docs/configuration.md',
  'config-docs.ts',
  () => ({ keys: keysPart(), flags: flagsPart(), older: olderPart() }),
)

interface Section {
  readonly title: string
  readonly prefixes: readonly string[]
}

const SECTIONS: readonly Section[] = [
  { title: 'Address and storage', prefixes: ['listen', 'host', 'port', 'data.', 'metadata.'] },
  { title: 'Logging', prefixes: ['logging.'] },
  { title: 'Batches and limits', prefixes: ['batch.', 'limits.'] },
  { title: 'TLS of the API', prefixes: ['tls.'] },
  { title: 'NATS', prefixes: ['nats.'] },
  { title: 'Streams', prefixes: ['streams.'] },
  { title: 'Cluster', prefixes: ['clustering.', 'groups.'] },
  { title: 'Internal streams', prefixes: ['activity.', 'cursors.'] },
  { title: 'Accepted and without effect', prefixes: ['telemetry.'] },
]

function keysPart(): string {
  const left = new Set(specs.keys())
  const parts = SECTIONS.map(({ title, prefixes }) => {
    const keys = [...left].filter((key) => prefixes.some((prefix) => key.startsWith(prefix)))
    for (const key of keys) left.delete(key)
    return `### ${title}\n\n${table(['key', 'type', 'default', 'reload', 'meaning'], keys.map(keyRow))}`
  })
  if (left.size > 0) throw new Error(`keys without a section: ${[...left].join(', ')}`)
  return parts.join('\n')
}

function keyRow(key: Key): string[] {
  const spec = specOf(key)
  const unset = spec.unset === undefined ? '' : ` When unset: ${spec.unset}.`
  const older = (spec.older ?? []).map((name) => `\`${name}\``).join(', ')
  const formerly = older === '' ? '' : ` Formerly ${older}.`
  return [
    `\`${key}\`<br>\`${environmentName(key)}\``,
    typeText(spec),
    spec.default === undefined ? 'unset' : spec.default === '' ? 'empty' : `\`${spec.default}\``,
    spec.reload === true ? 'yes' : 'no',
    `${spec.doc}${unset}${formerly}${notYetText(spec)}`,
  ]
}

function notYetText(spec: KeySpec): string {
  if (spec.noEffect !== undefined) return ` *Without effect: ${spec.noEffect}.*`
  if (spec.notYet === undefined) return ''
  return spec.notYet === 'refuses' ? ' **Refused so far.**' : ' *Without effect so far.*'
}

function typeText(spec: KeySpec): string {
  if (spec.type === 'choice') return (spec.choices ?? []).map((name) => `\`${name}\``).join(', ')
  const name = { token: 'name', text: 'text', path: 'path' }[spec.type as string] ?? spec.type
  const format = formatOf(spec)
  if (format === undefined) return spec.secret === true ? `${name}, secret` : name
  const from = format(spec.min ?? 0)
  return spec.max === undefined
    ? `${name}, from ${from}`
    : `${name}, ${from} to ${format(spec.max)}`
}

function formatOf(spec: KeySpec): ((value: number) => string) | undefined {
  switch (spec.type) {
    case 'integer':
      return String
    case 'size':
      return formatSize
    case 'duration':
      return formatDuration
    case 'boolean':
    case 'choice':
    case 'host':
    case 'list':
    case 'path':
    case 'text':
    case 'token':
      return undefined
  }
}

function flagsPart(): string {
  const rows = [...specs].flatMap(([key, { flag }]) => {
    if (flag === undefined) return []
    const names = flag.short === undefined ? flag.names : [flag.short, ...flag.names]
    const value = flag.value === undefined ? '' : ` ${flag.value}`
    return [[names.map((name) => `\`${name}${value}\``).join(', '), `\`${key}\``]]
  })
  return table(['flag', 'key'], rows)
}

function olderPart(): string {
  const rows = [...specs].flatMap(([key, spec]) =>
    (spec.older ?? []).map((name) => [`\`${name}\``, `\`${key}\``]),
  )
  return table(['older name', 'key'], rows)
}

function specOf(key: Key): KeySpec {
  const spec = specs.get(key)
  if (spec === undefined) throw new Error(`no such key: ${key}`)
  return spec
}

if (import.meta.main) runGenerator(configurationPage)
