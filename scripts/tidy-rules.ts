/**
 * The rules of the house that no linter knows: layers between packages, purity, sizes, names.
 * Each is a function from the files of the repository to what is wrong with them, so that a test
 * can plant a violation. They read text and no syntax tree: a rule that needs more belongs in lint.
 */
export interface SourceFile {
  /** From the root of the repository, with slashes. */
  readonly path: string
  readonly text: string
}

export interface Finding {
  readonly path: string
  /** 0 when the whole file is meant. */
  readonly line: number
  readonly text: string
}

export type Rule = (files: readonly SourceFile[]) => readonly Finding[]

/** Who may import whom: one direction, from the shell to the leaves. A package not here may not be. */
export const layers: ReadonlyMap<string, readonly string[]> = new Map([
  ['wire', []],
  ['log', []],
  ['raft', []],
  ['grpc', []],
  ['nats', []],
  ['metadata', ['wire', 'log']],
  ['replication', ['wire', 'log']],
  ['server', ['wire', 'log', 'raft', 'grpc', 'nats', 'metadata', 'replication']],
  ['sim', ['server', 'wire', 'log', 'raft', 'grpc', 'nats', 'metadata', 'replication']],
  ['client', ['wire', 'grpc']],
  ['cli', ['client', 'wire', 'grpc']],
  ['console', ['client', 'wire', 'grpc']],
])

/** Packages whose shipped code names no module of Node: they run anywhere, and under a seed. */
const WITHOUT_NODE = new Set(['wire', 'raft', 'metadata', 'replication', 'log'])

const CODE_LINES_MAX = 400
const ROOT_ENTRIES_MAX = 20
const FLAT_FILES_MAX = 15

/** Words that name nothing: whatever is called so could be called anything. */
const EMPTY_WORDS = new Set('manager helper helpers util utils common misc'.split(' '))

/** These name nothing alone, but something with another word: `data-directory`, `in-process`. */
const EMPTY_ALONE = new Set('data info process service do'.split(' '))

/** In identifiers `data`, `info` and the like have honest uses: a DATA frame, NATS's INFO. */
const EMPTY_IDENTIFIER = /(?:Manager|Helper|Utils?|Misc|Common)(?![a-z])/

/** Imports between packages follow `layers`, are declared, and go through the public list only. */
export const importLayers: Rule = (files) => {
  const declared = new Map(files.flatMap(declaredBy))
  return sources(files).flatMap((file) => {
    const owner = packageOf(file.path)
    if (owner === undefined) return []
    const allowed = layers.get(owner)
    if (allowed === undefined) return [{ path: file.path, line: 0, text: 'not in the layers' }]
    return importsOf(file).flatMap(({ line, from }) => {
      const text = judgeImport({ file, owner, from, allowed, declared: declared.get(owner) })
      return text === undefined ? [] : [{ path: file.path, line, text }]
    })
  })
}

interface ImportCase {
  readonly file: SourceFile
  readonly owner: string
  readonly from: string
  readonly allowed: readonly string[]
  readonly declared: Declared | undefined
}

function judgeImport({ file, owner, from, allowed, declared }: ImportCase): string | undefined {
  if (from.startsWith('.')) {
    const target = packageOf(resolveFrom(file.path, from))
    if (target === undefined || target === owner) return undefined
    // Behaviour suites are shared by the tests of every implementation of their port.
    return isTest(file.path) && allowed.includes(target)
      ? undefined
      : `reaches into package ${target}`
  }
  const match = /^@liftbridge\/([^/]+)(\/.*)?$/.exec(from)
  const target = match?.[1]
  if (target === undefined) return undefined
  if (match?.[2] !== undefined) return `${from} goes around the public list of ${target}`
  if (target === owner) return `${owner} imports itself`
  if (!allowed.includes(target)) return `${owner} may not import ${target}`
  const names = isTest(file.path) ? declared?.all : declared?.shipped
  return names?.has(from) === true ? undefined : `${from} is not a dependency of ${owner}`
}

interface Declared {
  readonly shipped: ReadonlySet<string>
  readonly all: ReadonlySet<string>
}

function declaredBy(file: SourceFile): [string, Declared][] {
  const owner = /^packages\/([^/]+)\/package\.json$/.exec(file.path)?.[1]
  if (owner === undefined) return []
  const manifest = JSON.parse(file.text) as Record<string, Record<string, string> | undefined>
  const shipped = Object.keys(manifest['dependencies'] ?? {})
  const all = [...shipped, ...Object.keys(manifest['devDependencies'] ?? {})]
  return [[owner, { shipped: new Set(shipped), all: new Set(all) }]]
}

/** Pure packages and `log` do not name `node:` modules outside their tests. */
export const noNodeModules: Rule = (files) =>
  sources(files)
    .filter(({ path }) => WITHOUT_NODE.has(packageOf(path) ?? '') && !isTest(path))
    .flatMap((file) =>
      importsOf(file)
        .filter(({ from }) => from.startsWith('node:'))
        .map(({ line, from }) => ({
          path: file.path,
          line,
          text: `${from} in a package without Node`,
        })),
    )

/** No file is longer than 400 lines of code; blank lines and comments do not count. */
export const fileSizes: Rule = (files) =>
  sources(files).flatMap(({ path, text }) => {
    const count = codeLines(text)
    const found = `${count} lines of code, at most ${CODE_LINES_MAX}: split it by role`
    return count > CODE_LINES_MAX ? [{ path, line: 0, text: found }] : []
  })

function codeLines(text: string): number {
  const withoutBlocks = text.replaceAll(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '')
  return withoutBlocks.split('\n').filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length
}

/** The root stays a page one can take in: what `ls` shows of it, without the dot files of tools. */
export const rootEntries: Rule = (files) => {
  const shown = files.filter(({ path }) => !path.startsWith('.'))
  const entries = new Set(shown.map(({ path }) => path.split('/')[0]))
  const text = `${entries.size} entries, at most ${ROOT_ENTRIES_MAX}`
  return entries.size > ROOT_ENTRIES_MAX ? [{ path: '.', line: 0, text }] : []
}

/** A small package has no folders: `src/` is flat until 15 files. */
export const flatPackages: Rule = (files) => {
  const shipped = sources(files).filter(({ path }) => !isTest(path))
  return [...layers.keys()].flatMap((owner) => {
    const own = shipped.filter(({ path }) => path.startsWith(`packages/${owner}/src/`))
    const nested = own.find(({ path }) => path.split('/').length > 4)
    if (own.length > FLAT_FILES_MAX || nested === undefined) return []
    const text = `${own.length} files need no folder below src, up to ${FLAT_FILES_MAX}`
    return [{ path: nested.path, line: 0, text }]
  })
}

/** File names of packages and scripts hold no word that names nothing. */
export const fileNames: Rule = (files) =>
  sources(files)
    .filter(({ path }) => /^(?:packages|scripts)\//.test(path))
    .flatMap(({ path }) => {
      const name = path.slice(path.lastIndexOf('/') + 1).replace(/\.ts$/, '')
      const [stem = ''] = name.split('.')
      const alone = EMPTY_ALONE.has(stem) ? stem : undefined
      const word = alone ?? name.split(/[.-]/).find((part) => EMPTY_WORDS.has(part))
      if (word !== undefined) return [{ path, line: 0, text: `"${word}" names nothing` }]
      if (/^[a-z0-9]+(?:[.-][a-z0-9]+)*$/.test(name)) return []
      return [{ path, line: 0, text: 'file names are kebab-case' }]
    })

/** Nor do the names of what packages declare. */
export const identifiers: Rule = (files) =>
  matches(
    sources(files).filter(({ path }) => packageOf(path) !== undefined),
    /\b(?:class|interface|type|function|const|let) +([A-Za-z_$][\w$]*)/g,
    ([, name = '']) =>
      EMPTY_IDENTIFIER.test(name) || /^(?:manager|helper|utils?|misc)$/.test(name)
        ? `"${name}" names nothing`
        : undefined,
  )

/** No path of one machine. Written in pieces here, so that the rule does not find itself. */
export const machinePaths: Rule = (files) =>
  matches(
    prose(files),
    new RegExp(String.raw`(?:^|[\s"'\`(=:<,])\/(?:work|root|home)` + String.raw`\/`, 'gm'),
    () => 'a path of one machine',
  )

/** No host of a package registry, also not in the lock file. */
export const registryHosts: Rule = (files) =>
  matches(
    files,
    new RegExp(String.raw`\bregistry\.` + String.raw`[a-z]|"resolved": "https?:`, 'g'),
    () => 'the host of a registry',
  )

/** What is left to do is an issue, and is cited by its number. */
export const openEnds: Rule = (files) =>
  matches(
    sources(files),
    new RegExp(String.raw`\b(?:TO` + String.raw`DO|FIX` + String.raw`ME)\b(?!\(#\d+\))`, 'g'),
    ([word]) => `${word} without an issue: write ${word}(#12)`,
  )

/**
 * A test awaits conditions and advances clocks; one that has to sleep says why on the line above.
 * The pause of a loop that polls a condition is none.
 */
export const testSleeps: Rule = (files) =>
  matches(
    sources(files).filter(({ path }) => /\.(?:test|suite)\.ts$/.test(path)),
    /\bawait\b[^\n]*\b(?:setTimeout|sleep|delay)\(/g,
    (_, { above }) => {
      const explained = /^\s*(?:\/\/|\*\/)/.test(above.at(-1) ?? '')
      const polls = above.some((line) => /\b(?:while|for) ?\(/.test(line))
      return explained || polls ? undefined : 'a sleep without its reason on the line above'
    },
  )

/** A link from one page to another leads somewhere. */
export const pageLinks: Rule = (files) => {
  const paths = new Set(
    files.flatMap(({ path }) => {
      const parts = path.split('/')
      return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    }),
  )
  return files
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap((file) =>
      matches([file], /\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)\s]*)?\)/g, ([, target = '']) => {
        const to = resolveFrom(file.path, target).replace(/\/$/, '')
        return paths.has(to) ? undefined : `leads nowhere: ${target}`
      }),
    )
}

interface Place {
  /** The three lines above the one that matched, top down. */
  readonly above: readonly string[]
}

/** What `judge` says of each match of `pattern`; undefined lets it pass. */
function matches(
  files: readonly SourceFile[],
  pattern: RegExp,
  judge: (match: readonly string[], place: Place) => string | undefined,
): Finding[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.split('\n')
    return [...text.matchAll(pattern)].flatMap((match) => {
      const line = text.slice(0, match.index + match[0].search(/\S|$/)).split('\n').length
      const found = judge(match, { above: lines.slice(Math.max(0, line - 4), line - 1) })
      return found === undefined ? [] : [{ path, line, text: found }]
    })
  })
}

/** TypeScript written by hand. */
function sources(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ path }) => path.endsWith('.ts') && !/\/(?:gen|testdata)\//.test(path))
}

/** Everything written by hand. */
function prose(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ path }) => !/\/gen\/|(?:^|\/)package-lock\.json$/.test(path))
}

function isTest(path: string): boolean {
  return /\.(?:test|suite)\.ts$/.test(path)
}

function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\/src\//.exec(path)?.[1]
}

function importsOf(file: SourceFile): { line: number; from: string }[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\()\s*'([^'\n]+)'/g
  return [...file.text.matchAll(pattern)].map((match) => ({
    line: file.text.slice(0, match.index).split('\n').length,
    from: match[1] ?? '',
  }))
}

/** The path that a relative reference in `from` leads to. */
function resolveFrom(from: string, reference: string): string {
  const parts = from.split('/').slice(0, -1)
  for (const part of reference.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}
