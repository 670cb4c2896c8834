import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
  type Document,
  type Node,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { type Origin, SettingCollector, type Written } from './setting.ts'

/**
 * A file of a few dozen settings needs a few hundred nodes. The bound stops aliases from
 * multiplying (`&a [*b, *b]`, `&b [*c, *c]`, …) into more work than the file is long.
 */
const NODES_MAX = 10_000
const DEPTH_MAX = 16

/** One slip of indentation can make an error of every line after it. */
const PROBLEMS_MAX = 5

/** Reads the settings of a YAML file: flat, nested or mixed keys, with their positions. */
export function readYaml(file: string, text: string): SettingCollector {
  const collector = new SettingCollector()
  const lines = new LineCounter()
  const document = parse(text, lines)
  if (document === undefined) {
    collector.endAt({ kind: 'file', file, line: 1, column: 1 }, 'nested too deeply')
    return collector
  }
  for (const error of [...document.errors, ...document.warnings].slice(0, PROBLEMS_MAX)) {
    const { line, col } = lines.linePos(error.pos[0])
    collector.endAt({ kind: 'file', file, line, column: col }, explain(error))
  }
  if (collector.isCutShort) return collector
  new Walk({ file, lines, collector }).root(document.contents)
  return collector
}

const ALIAS_WITHOUT_ANCHOR = 'an alias without an anchor: quote a value that begins with "*"'

/** Some messages of the parser end with the text it stumbled over, behind a colon or as it is. */
const REPEATED_TEXT = /(?<=\S): [\s\S]*$|(?<=escape sequence)[\s\S]*$/

/** The parser's own words, but for those that repeat a value, which may be a password [A6]. */
function explain(error: YAMLError): string {
  if (/alias/i.test(error.message)) return ALIAS_WITHOUT_ANCHOR
  if (/tag/i.test(error.message))
    return 'tags are not supported: quote a value that begins with "!"'
  return error.message.replace(REPEATED_TEXT, '').slice(0, 200)
}

/** undefined when the brackets nest deeper than the parser's stack reaches. */
function parse(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  try {
    const document = parseDocument(text, { lineCounter, uniqueKeys: false, prettyErrors: false })
    // The parser reports its own exhausted stack as a syntax error, once per bracket.
    const exhausted = document.errors.some((error) => error.message.includes('call stack'))
    return exhausted ? undefined : document
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

interface WalkContext {
  readonly file: string
  readonly lines: LineCounter
  readonly collector: SettingCollector
}

/** One pass over the parsed document, turning it into settings. */
class Walk {
  readonly #context: WalkContext
  readonly #anchors = new Map<string, Node>()
  #nodes = 0

  constructor(context: WalkContext) {
    this.#context = context
  }

  root(contents: Node | null): void {
    const node = this.#resolve(contents)
    if (node === undefined || (isScalar(node) && node.value === null)) return
    if (isMap(node)) this.#map('', node, 0)
    else this.#problem(node, 'expected settings of the form "key: value"')
  }

  #map(prefix: string, map: YAMLMap, depth: number): void {
    if (depth > DEPTH_MAX) {
      this.#problem(map, 'nested too deeply')
      return
    }
    for (const pair of map.items) {
      if (this.#spent(map)) return
      if (isPair(pair)) this.#pair(prefix, pair, depth)
    }
  }

  #pair(prefix: string, pair: { key: unknown; value: unknown }, depth: number): void {
    const keyNode = this.#resolve(pair.key)
    const keyText = keyNode === undefined ? undefined : scalarText(keyNode)
    if (keyNode === undefined || keyText === undefined || keyText === '') {
      this.#problem(keyNode, 'a key must be a plain name')
      return
    }
    const name = prefix === '' ? keyText : `${prefix}.${keyText}`
    const value = this.#resolve(pair.value)
    if (value !== undefined && isMap(value)) {
      this.#context.collector.section(name, this.#origin(keyNode))
      this.#map(name, value, depth + 1)
      return
    }
    if (value === undefined && isAlias(pair.value)) {
      this.#problem(pair.value, ALIAS_WITHOUT_ANCHOR)
      return
    }
    const written = this.#written(value)
    if (written !== undefined) {
      this.#context.collector.add(name, written, this.#origin(keyNode))
    }
  }

  #written(value: Node | undefined): Written | undefined {
    if (value === undefined) return { kind: 'nothing' }
    if (isSeq(value)) return this.#list(value)
    if (isScalar(value) && value.value === null) return { kind: 'nothing' }
    const text = scalarText(value)
    if (text !== undefined) return { kind: 'text', text }
    this.#problem(value, 'expected a value')
    return undefined
  }

  #list(list: YAMLSeq): Written | undefined {
    const items: string[] = []
    for (const item of list.items) {
      if (this.#spent(list)) return undefined
      const node = this.#resolve(item)
      const text = node === undefined ? undefined : scalarText(node)
      if (text === undefined) {
        this.#problem(node ?? list, 'a list holds plain values only')
        return undefined
      }
      items.push(text)
    }
    return { kind: 'list', items }
  }

  /**
   * The node that stands here, through an alias if there is one. Anchors are kept as they come
   * by, since the library's own look-up walks the whole document for each alias.
   */
  #resolve(value: unknown): Node | undefined {
    if (isAlias(value)) return this.#anchors.get(value.source)
    if (!isMap(value) && !isSeq(value) && !isScalar(value)) return undefined
    if (value.anchor !== undefined) this.#anchors.set(value.anchor, value)
    return value
  }

  /** True once the bound is passed; reports it the first time. */
  #spent(node: Node): boolean {
    this.#nodes += 1
    if (this.#nodes === NODES_MAX + 1) this.#problem(node, `more than ${NODES_MAX} values`)
    return this.#nodes > NODES_MAX
  }

  #problem(node: Node | undefined, text: string): void {
    this.#context.collector.problem(this.#origin(node), text)
  }

  #origin(node: Node | undefined): Origin {
    const { line, col } = this.#context.lines.linePos(node?.range?.[0] ?? 0)
    return { kind: 'file', file: this.#context.file, line, column: col }
  }
}

/** The text as it stands in the file, so that 010 or 1e3 are not silently rewritten. */
function scalarText(node: Node): string | undefined {
  if (!isScalar(node)) return undefined
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
}
