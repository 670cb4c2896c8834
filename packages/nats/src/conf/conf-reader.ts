import { dirname, resolve } from 'node:path'
import { ConfSyntaxError, type ConfMap, type ConfValue, type Place } from './conf-value.ts'

/**
 * The syntax of NATS configuration files:
 *
 *   file    = { entry } | map                entry = key [":" | "="] value | "include" path
 *   value   = map | list | text | "$" name | word
 *   map     = "{" { entry } "}"              list  = "[" { value } "]"
 *   text    = '"' with escapes '"' | "'" as it is "'" | "(" lines up to a line of ")" alone
 *   word    = anything up to a blank, "," ";" "]" or "}": a number with or without unit, a boolean
 *             (true yes on, false no off), else text
 *
 * Entries end at a line's end, ",", or ";"; comments go from "#" or "//" to the end of the line.
 * A variable is looked up in the maps around it, from the inside out, then in the environment.
 */
export interface ConfSources {
  /** How the file is called, and where includes are looked for. */
  readonly file: string
  /** Throws when there is no such file. */
  readonly readFile: (path: string) => string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Throws ConfSyntaxError. */
export function readConf(text: string, sources: ConfSources): ConfMap {
  const map: ConfMap = new Map()
  const budget = { files: FILES_MAX, bytes: BYTES_MAX }
  new ConfReader({ text, file: sources.file, sources, budget, depth: 0 }).readInto(map, [map])
  return map
}

interface Source {
  readonly text: string
  readonly file: string
  readonly sources: ConfSources
  /** What includes may still take, shared by all. */
  readonly budget: { files: number; bytes: number }
  readonly depth: number
}

class ConfReader {
  readonly #source: Source
  readonly #text: string
  #at = 0
  #line = 1
  #depth: number

  constructor(source: Source) {
    this.#source = source
    this.#text = source.text
    this.#depth = source.depth
    source.budget.files--
    source.budget.bytes -= source.text.length
    if (source.budget.files < 0 || source.budget.bytes < 0 || this.#depth > DEPTH_MAX) {
      this.#fail('too much is included (does a file include itself?)')
    }
  }

  readInto(map: ConfMap, scopes: readonly ConfMap[]): void {
    this.#skip(BETWEEN_ENTRIES)
    if (this.#text[this.#at] === '{') this.#nested('}', () => this.#entries(map, scopes))
    else this.#entries(map, scopes)
    this.#skip(BETWEEN_ENTRIES)
    if (this.#at < this.#text.length) this.#fail('nothing can follow here (a "}" without its "{"?)')
  }

  /** A whole text that is one value: that of a variable in the environment. */
  readValue(scopes: readonly ConfMap[]): ConfValue {
    this.#skip(SPACES)
    return this.#value(scopes)
  }

  /** Up to the end or a "}", which is left. */
  #entries(map: ConfMap, scopes: readonly ConfMap[]): void {
    for (;;) {
      this.#skip(BETWEEN_ENTRIES)
      const first = this.#text[this.#at]
      if (first === undefined || first === '}') return
      const place = this.#place
      const key = first === '"' || first === "'" ? this.#quoted(first) : this.#take(KEY)
      if (key === '') this.#fail(`expected a key, not ${JSON.stringify(first)}`)
      this.#skip(SPACES)
      if (key.toLowerCase() === 'include' && first !== '"') {
        this.#include(map, scopes)
      } else {
        if (this.#text[this.#at] === ':' || this.#text[this.#at] === '=') this.#at++
        this.#skip(SPACES)
        map.set(key, { key, place, value: this.#value(scopes), usedAsVariable: false })
      }
      this.#endOfItem('}')
    }
  }

  #value(scopes: readonly ConfMap[]): ConfValue {
    const place = this.#place
    const first = this.#text[this.#at] ?? ''
    switch (first) {
      case '{': {
        const map: ConfMap = new Map()
        this.#nested('}', () => this.#entries(map, [map, ...scopes]))
        return { ...place, kind: 'map', value: map }
      }
      case '[': {
        const list: ConfValue[] = []
        this.#nested(']', () => this.#list(list, scopes))
        return { ...place, kind: 'list', value: list }
      }
      case '"':
      case "'":
        return { ...place, kind: 'text', value: this.#quoted(first) }
      case '(':
        return { ...place, kind: 'text', value: this.#block() }
      default: {
        const word = this.#take(WORD)
        if (word === '') this.#fail('expected a value')
        // A bcrypt hash begins like a variable.
        if (!word.startsWith('$') || word.startsWith('$2')) return { ...place, ...wordValue(word) }
        return this.#variable(word.slice(1), place, scopes)
      }
    }
  }

  /** Up to the end or a "]", which is left. */
  #list(list: ConfValue[], scopes: readonly ConfMap[]): void {
    for (;;) {
      this.#skip(BETWEEN_ENTRIES)
      const first = this.#text[this.#at]
      if (first === undefined || first === ']') return
      list.push(this.#value(scopes))
      this.#endOfItem(']')
    }
  }

  #nested(close: string, read: () => void): void {
    const place = this.#place
    if (++this.#depth > DEPTH_MAX) this.#fail(`nested more than ${DEPTH_MAX} deep`)
    this.#at++
    read()
    this.#depth--
    if (this.#text[this.#at] !== close) {
      throw new ConfSyntaxError(place, `what begins here is not closed by "${close}"`)
    }
    this.#at++
  }

  /** Behind a value comes the end of the line, a separator, or the end of what it stands in. */
  #endOfItem(close: string): void {
    this.#skip(BLANKS)
    const rest = this.#text.slice(this.#at, this.#at + 2)
    if (rest === '' || rest === '//' || `${ITEM_ENDS}${close}`.includes(rest.charAt(0))) return
    this.#fail(`expected the end of the line or ",", not ${JSON.stringify(rest.charAt(0))}`)
  }

  #quoted(quote: string): string {
    const place = this.#place
    let value = ''
    for (this.#at++; ; this.#at++) {
      const c = this.#text[this.#at]
      if (c === undefined) throw new ConfSyntaxError(place, 'the text that begins here has no end')
      if (c === quote) break
      if (c === '\n') this.#line++
      value += c === '\\' && quote === '"' ? this.#escape() : c
    }
    this.#at++
    return value
  }

  #escape(): string {
    const c = this.#text[++this.#at] ?? ''
    const plain = ESCAPES.get(c)
    if (plain !== undefined) return plain
    const hex = this.#text.slice(this.#at + 1, this.#at + 3)
    if (c !== 'x' || !/^[\da-f]{2}$/i.test(hex)) this.#fail(`unknown escape "\\${c}"`)
    this.#at += 2
    return String.fromCharCode(Number.parseInt(hex, 16))
  }

  #block(): string {
    const rest = this.#text.slice(this.#at + 1)
    const end = /^[ \t]*\)[ \t\r]*$/m.exec(rest)
    if (end === null) return this.#fail('the text that begins here has no line of ")" alone')
    const value = rest.slice(0, end.index)
    this.#line += value.split('\n').length - 1
    this.#at += 1 + end.index + end[0].indexOf(')') + 1
    return value.trim()
  }

  #variable(name: string, place: Place, scopes: readonly ConfMap[]): ConfValue {
    for (const scope of scopes) {
      const entry = scope.get(name)
      if (entry === undefined) continue
      entry.usedAsVariable = true
      return { ...entry.value, ...place }
    }
    const { sources, budget } = this.#source
    const text = Object.hasOwn(sources.env, name) ? sources.env[name] : undefined
    if (text === undefined) {
      throw new ConfSyntaxError(place, `$${name} is neither set above nor in the environment`)
    }
    const source = { text, file: `$${name}`, sources, budget, depth: this.#depth + 1 }
    return { ...new ConfReader(source).readValue([]), ...place }
  }

  #include(map: ConfMap, scopes: readonly ConfMap[]): void {
    const place = this.#place
    const first = this.#text[this.#at] ?? ''
    const given = first === '"' || first === "'" ? this.#quoted(first) : this.#take(WORD)
    if (given === '') this.#fail('include needs the name of a file')
    const { file, sources, budget } = this.#source
    const path = resolve(dirname(file), given)
    let text: string
    try {
      text = sources.readFile(path)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new ConfSyntaxError(place, `cannot include ${given}: ${why}`)
    }
    const depth = this.#depth + 1
    new ConfReader({ text, file: path, sources, budget, depth }).readInto(map, scopes)
  }

  /** Takes what the sticky pattern matches here, which holds no line ends. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const taken = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += taken.length
    return taken
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at
    const skipped = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += skipped.length
    for (let i = skipped.indexOf('\n'); i !== -1; i = skipped.indexOf('\n', i + 1)) this.#line++
  }

  get #place(): Place {
    return { file: this.#source.file, line: this.#line }
  }

  #fail(message: string): never {
    throw new ConfSyntaxError(this.#place, message)
  }
}

/** Bounds of a configuration with its includes: generous, and no input can exceed them. */
const FILES_MAX = 100
const BYTES_MAX = 16 * 1024 * 1024
const DEPTH_MAX = 32

const BLANKS = /[ \t]*/y
const SPACES = /\s*/y
const BETWEEN_ENTRIES = /(?:[\s,;]|#[^\n]*|\/\/[^\n]*)*/y
const KEY = /[^\s:={}[\],;#"']+/y
const WORD = /[^\s,;\]}]+/y
const ITEM_ENDS = '\r\n,;#'

const ESCAPES = new Map([
  ['t', '\t'],
  ['n', '\n'],
  ['r', '\r'],
  ['"', '"'],
  ['\\', '\\'],
])

type WordValue =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number; readonly whole: boolean }
  | { readonly kind: 'boolean'; readonly value: boolean }

/** `k` is 1000, `kb`, `ki` and `kib` are 1024, and so on up to `e`. */
function wordValue(word: string): WordValue {
  const lower = word.toLowerCase()
  if (TRUE.has(lower)) return { kind: 'boolean', value: true }
  if (FALSE.has(lower)) return { kind: 'boolean', value: false }
  const match = /^(-?\d+)(\.\d+)?(?:([kmgtpe])(b|i|ib)?)?$/.exec(lower)
  const [, digits = '', fraction = '', unit = '', binary] = match ?? []
  if (match === null || (fraction !== '' && unit !== '')) return { kind: 'text', value: word }
  const base = binary === undefined ? 1000 : 1024
  const value = Number(digits + fraction) * base ** (unit === '' ? 0 : UNITS.indexOf(unit) + 1)
  return { kind: 'number', value, whole: fraction === '' }
}

const TRUE = new Set(['true', 'yes', 'on'])
const FALSE = new Set(['false', 'no', 'off'])
const UNITS = 'kmgtpe'
