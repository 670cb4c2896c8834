import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as rules from './tidy-rules.ts'
import type { Rule, SourceFile } from './tidy-rules.ts'

const root = join(import.meta.dirname, '..')

/** Every text file that is, or is about to be, under version control. */
function repositoryFiles(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  const files: SourceFile[] = []
  for (const path of listed.split('\0')) {
    if (path === '' || !existsSync(join(root, path))) continue
    const text = readFileSync(join(root, path), 'utf8')
    if (!text.includes('\0')) files.push({ path, text })
  }
  return files
}

const files = repositoryFiles()

function holds(name: string, rule: Rule): void {
  test(`the repository: ${name}`, () => {
    const found = rule(files).map(({ path, line, text }) => `${path}:${line}: ${text}`)
    assert.equal(found.join('\n'), '')
  })
}

holds('imports between packages follow the layers', rules.importLayers)
holds('pure packages and log name no module of Node', rules.noNodeModules)
holds('no file has more than 400 lines of code', rules.fileSizes)
holds('the root has at most 20 entries', rules.rootEntries)
holds('small packages are flat', rules.flatPackages)
holds('file names say what the file holds', rules.fileNames)
holds('identifiers say what they name', rules.identifiers)
holds('no path of one machine', rules.machinePaths)
holds('no host of a package registry', rules.registryHosts)
holds('open ends cite an issue', rules.openEnds)
holds('tests do not sleep without a reason', rules.testSleeps)
holds('links between pages lead somewhere', rules.pageLinks)

test('the rules look at the whole repository', () => {
  for (const owner of ['wire', 'log', 'server']) {
    const own = files.filter(({ path }) => path.startsWith(`packages/${owner}/src/`))
    assert.ok(own.length > 1, owner)
  }
  assert.ok(files.some(({ path }) => path === 'package-lock.json'))
})

/** What a rule says of planted files: `path:line: text`. */
function said(rule: Rule, planted: Record<string, string>): string[] {
  const list = Object.entries(planted).map(([path, text]) => ({ path, text }))
  return rule(list).map(({ path, line, text }) => `${path}:${line}: ${text}`)
}

const manifest = (...names: string[]) =>
  JSON.stringify({ dependencies: Object.fromEntries(names.map((name) => [name, '1'])) })

test('layers: an import against the direction is found', () => {
  const planted = {
    'packages/wire/package.json': manifest('@liftbridge/server'),
    'packages/wire/src/a.ts':
      "import { x } from './b.ts'\nimport { y } from '@liftbridge/server'\n",
    'packages/grpc/package.json': manifest('@liftbridge/wire'),
    'packages/grpc/src/a.ts': "const lazy = await import('@liftbridge/wire')\n",
  }
  assert.deepEqual(said(rules.importLayers, planted), [
    'packages/wire/src/a.ts:2: wire may not import server',
    'packages/grpc/src/a.ts:1: grpc may not import wire',
  ])
})

test('layers: an import along the direction passes, in code and in tests', () => {
  const planted = {
    'packages/metadata/package.json': manifest('@liftbridge/wire'),
    'packages/metadata/src/a.ts': "import type { X } from '@liftbridge/wire'\n",
    'packages/metadata/src/a.test.ts': "import { X } from '@liftbridge/wire'\nimport './a.ts'\n",
  }
  assert.deepEqual(said(rules.importLayers, planted), [])
})

test('layers: deep imports, undeclared ones and unknown packages are found', () => {
  const planted = {
    'packages/server/package.json': manifest('@liftbridge/log'),
    'packages/server/src/a.ts': [
      "import { a } from '@liftbridge/log/src/segment.ts'",
      "import { b } from '../../log/src/segment.ts'",
      "export * from '@liftbridge/wire'",
      "import '@liftbridge/server'",
    ].join('\n'),
    'packages/server/src/a.test.ts': "import { b } from '../../log/src/disk.suite.ts'",
    'packages/log/src/a.test.ts': "import { b } from '../../server/src/a.ts'",
    'packages/extra/src/a.ts': '',
  }
  assert.deepEqual(said(rules.importLayers, planted), [
    'packages/server/src/a.ts:1: @liftbridge/log/src/segment.ts goes around the public list of log',
    'packages/server/src/a.ts:2: reaches into package log',
    'packages/server/src/a.ts:3: @liftbridge/wire is not a dependency of server',
    'packages/server/src/a.ts:4: server imports itself',
    'packages/log/src/a.test.ts:1: reaches into package server',
    'packages/extra/src/a.ts:0: not in the layers',
  ])
})

test('purity: a module of Node is found in shipped code only', () => {
  const code = "import { readFileSync } from 'node:fs'\n"
  const planted = {
    'packages/log/src/a.ts': code,
    'packages/log/src/a.test.ts': code,
    'packages/log/src/a.suite.ts': code,
    'packages/raft/src/a.ts': `\n${code}`,
    'packages/server/src/a.ts': code,
  }
  assert.deepEqual(said(rules.noNodeModules, planted), [
    'packages/log/src/a.ts:1: node:fs in a package without Node',
    'packages/raft/src/a.ts:2: node:fs in a package without Node',
  ])
})

test('sizes: 401 lines of code are found, comments and blank lines do not count', () => {
  const comment = '/**\n * Why.\n */\n// and how\n\n'
  const planted = {
    'packages/log/src/long.ts': `${comment.repeat(9)}${'f()\n'.repeat(401)}`,
    'packages/log/src/short.ts': `${comment.repeat(99)}${'f()\n'.repeat(400)}`,
    'packages/wire/src/gen/made.ts': 'f()\n'.repeat(500),
  }
  assert.deepEqual(said(rules.fileSizes, planted), [
    'packages/log/src/long.ts:0: 401 lines of code, at most 400: split it by role',
  ])
})

test('root: the 21st entry is found', () => {
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`entry${at}/a`, '']))
  assert.deepEqual(said(rules.rootEntries, entries(20)), [])
  assert.deepEqual(said(rules.rootEntries, entries(21)), ['.:0: 21 entries, at most 20'])
})

test('flat: a folder in a small package is found, in a larger one it passes', () => {
  const small = { 'packages/log/src/a.ts': '', 'packages/log/src/format/b.ts': '' }
  assert.deepEqual(said(rules.flatPackages, small), [
    'packages/log/src/format/b.ts:0: 2 files need no folder below src, up to 15',
  ])
  const more = Array.from({ length: 14 }, (_, at) => [`packages/log/src/f${at}.ts`, ''])
  assert.deepEqual(said(rules.flatPackages, { ...small, ...Object.fromEntries(more) }), [])
})

test('file names: empty words and other spellings are found', () => {
  const planted = {
    'packages/log/src/segment-utils.ts': '',
    'packages/log/src/data.test.ts': '',
    'packages/log/src/SegmentIndex.ts': '',
    'packages/log/src/index-helper.ts': '',
    'packages/log/src/metadata.ts': '',
    'packages/log/src/data-directory.ts': '',
    'e2e/nats-process.ts': '',
  }
  assert.deepEqual(said(rules.fileNames, planted), [
    'packages/log/src/segment-utils.ts:0: "utils" names nothing',
    'packages/log/src/data.test.ts:0: "data" names nothing',
    'packages/log/src/SegmentIndex.ts:0: file names are kebab-case',
    'packages/log/src/index-helper.ts:0: "helper" names nothing',
  ])
})

test('identifiers: empty words are found, honest ones pass', () => {
  const code = [
    'export class StreamManager {}',
    'const parseHelper = 1',
    'type Utils = 2',
    'const helper = 3',
    'function utility() {}',
    'const dataFrame = commonest',
    'const serverInfo = 4',
  ]
  assert.deepEqual(said(rules.identifiers, { 'packages/log/src/a.ts': code.join('\n') }), [
    'packages/log/src/a.ts:1: "StreamManager" names nothing',
    'packages/log/src/a.ts:2: "parseHelper" names nothing',
    'packages/log/src/a.ts:3: "Utils" names nothing',
    'packages/log/src/a.ts:4: "helper" names nothing',
  ])
})

test('machine paths are found in code and in pages', () => {
  const home = ['', 'home', 'me', 'x'].join('/')
  const planted = {
    'docs/a.md': `run it\nin \`${home}\` then\n`,
    'packages/log/src/a.ts': `const folder = '${home.replace('home', 'root')}'\n`,
    'docs/b.md': 'see homework/root/x, https://example.org/home/page and /tmp/x\n',
  }
  assert.deepEqual(said(rules.machinePaths, planted), [
    'docs/a.md:2: a path of one machine',
    'packages/log/src/a.ts:1: a path of one machine',
  ])
})

test('registry hosts are found in the lock file and elsewhere', () => {
  const host = ['registry', 'example.org'].join('.')
  const planted = {
    'package-lock.json': `{\n  "resolved": "${'https:'}//mirror.example.org/a.tgz"\n}`,
    '.npmrc': `registry=https://${host}/\n`,
    'docs/a.md': 'The registry. It has packages.\n',
  }
  assert.deepEqual(said(rules.registryHosts, planted), [
    'package-lock.json:2: the host of a registry',
    '.npmrc:1: the host of a registry',
  ])
})

test('open ends: one without an issue is found', () => {
  const word = ['TO', 'DO'].join('')
  const code = `// ${word}: later\n// ${word}(#12): later\nconst ${word}S = 1\n`
  assert.deepEqual(said(rules.openEnds, { 'packages/log/src/a.ts': code }), [
    `packages/log/src/a.ts:1: ${word} without an issue: write ${word}(#12)`,
  ])
})

test('sleeps: one in a test is found, with its reason above it or in a poll it passes', () => {
  // In pieces, so that the rule does not find this very test.
  const nap = (call: string) => ['aw', `ait ${call}(5)`].join('')
  const text = [
    nap('new Promise((resolve) => setTimeout'),
    '// Waits for the kernel, which tells nobody.',
    nap('delay'),
    '',
    nap('sleep'),
    'while (!done()) {',
    nap('delay'),
    "mock.timers.enable({ apis: ['setTimeout'] })",
  ].join('\n')
  const planted = { 'packages/log/src/a.test.ts': text, 'packages/log/src/a.ts': text }
  assert.deepEqual(said(rules.testSleeps, planted), [
    'packages/log/src/a.test.ts:1: a sleep without its reason on the line above',
    'packages/log/src/a.test.ts:5: a sleep without its reason on the line above',
  ])
})

test('links: one that leads nowhere is found', () => {
  const planted = {
    'README.md': '[a](docs/a.md) [b](docs/b.md#part) [c](https://example.org) [d](#here)\n',
    'docs/a.md': '\n[up](../README.md) [folder](../docs/) [gone](gone.md)\n',
  }
  assert.deepEqual(said(rules.pageLinks, planted), [
    'README.md:1: leads nowhere: docs/b.md',
    'docs/a.md:2: leads nowhere: gone.md',
  ])
})
