/** The pages written by hand say what the code says, as far as a test can tell. */
import assert from 'node:assert/strict'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { api } from '@liftbridge/wire'
import { API_SERVICE, apiMethods } from './api/methods.ts'
import { loadConfig } from './config/load.ts'
import { specs } from './config/schema/schema.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root })

function missing(pattern: RegExp, isKnown: (name: string) => boolean): string[] {
  let found = 0
  const unknown = pages.flatMap((page) =>
    [...read(page).matchAll(pattern)].flatMap(([, name = '']) => {
      found++
      return isKnown(name) ? [] : [`${page}: ${name}`]
    }),
  )
  assert.ok(found > 10, `only ${found} were found: has their form changed?`)
  return unknown
}

test('every npm script that a page names is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  assert.deepEqual(
    missing(/npm run (?:-s )?([a-z][a-z0-9:]*)/g, (name) => Object.hasOwn(scripts, name)),
    [],
  )
})

test('every configuration key that a page names is one, or was one', () => {
  const known = new Set<string>(specs.keys())
  for (const { older } of specs.values()) for (const name of older ?? []) known.add(name)
  const sections = [...known].map((key) => key.split('.')[0] ?? '')
  const key = new RegExp(`\`((?:${[...new Set(sections)].join('|')})(?:\\.[a-z]+)+)\``, 'g')
  // Places in the code are written in the same way.
  const isFile = (name: string): boolean => name.endsWith('.ts') || name.endsWith('.md')
  assert.deepEqual(
    missing(key, (name) => known.has(name) || isFile(name)),
    [],
  )
})

test('every source file that ARCHITECTURE.md names is there', () => {
  const named = [...read('ARCHITECTURE.md').matchAll(/`([a-z]+\/src\/[\w./-]+\.ts)`/g)]
  assert.ok(named.length > 20)
  const absent = named.filter(([, path = '']) => !existsSync(join(root, 'packages', path)))
  assert.deepEqual(
    absent.map(([, path]) => path),
    [],
  )
})

test('every invariant that the code cites is explained in ARCHITECTURE.md', () => {
  const explained = new Set<string>()
  for (const [, ids = ''] of read('ARCHITECTURE.md').matchAll(/^\| ([A-Z]\d(?:, [A-Z]\d)*) \|/gm)) {
    for (const id of ids.split(', ')) explained.add(id)
  }
  const unknown = new Set<string>()
  for (const path of globSync('packages/*/src/**/*.ts', { cwd: root })) {
    for (const [, cited = ''] of read(path).matchAll(
      /\[(?:reliability )?([DROMCKTAB]\d(?:[ ,-]+[DROMCKTAB]\d)*)\]/g,
    )) {
      for (const id of cited.split(/[ ,-]+/))
        if (!explained.has(id)) unknown.add(`${id} in ${path}`)
    }
  }
  assert.deepEqual([...unknown], [])
})

test('docs/api.md says of each call whether it is served', () => {
  const served = new Set(Object.keys(apiMethods(() => undefined)))
  const rows = [...read('docs/api.md').matchAll(/^\| ([A-Z][\w, ]+) \| (yes|UNIMPLEMENTED) \|$/gm)]
  const said = new Map(
    rows.flatMap(([, calls = '', answer = '']) => calls.split(', ').map((call) => [call, answer])),
  )
  for (const { name } of api.API.methods) {
    const answer = served.has(`/${API_SERVICE}/${name}`) ? 'yes' : 'UNIMPLEMENTED'
    assert.equal(said.get(name), answer, name)
  }
})

test('the configuration file of the README loads without a warning', () => {
  const example = /```yaml\n(.*?)```/s.exec(read('README.md'))?.[1]
  assert.ok(example)
  const folder = mkdtempSync(join(tmpdir(), 'liftbridge-readme-'))
  try {
    writeFileSync(join(folder, 'liftbridge.yaml'), example)
    const argv = ['--config', 'liftbridge.yaml']
    const loaded = loadConfig({ argv, env: {}, version: '1', cwd: folder })
    assert.ok(loaded.kind === 'config')
    assert.deepEqual(loaded.warnings, [])
    assert.equal(loaded.config.advertised.host, 'streams.example.com')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
