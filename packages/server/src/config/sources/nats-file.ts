import { type Origin, SettingCollector, type Written } from './setting.ts'

/**
 * The syntax of NATS's own configuration files, which the first versions of Liftbridge used:
 *
 *     file    = entry*                       # comment, // comment
 *     entry   = key ( ":" | "=" )? value     separated by newlines, "," or ";"
 *     key     = bare | "quoted" | 'quoted'
 *     value   = block | list | quoted | bare
 *     block   = "{" entry* "}"
 *     list    = "[" ( value ( "," | newline )* )* "]"
 *     bare    = up to white space, a separator or a closing bracket
 *
 * A bare number may carry a unit with the meaning NATS gives it: `k` is 1,000 and `kb`, `kib`
 * 1,024; likewise m, g, t. Variables and includes are refused: a Liftbridge file never had them.
 */
const DEPTH_MAX = 16

const SCALES: ReadonlyMap<string, number> = new Map([
  ['k', 1e3],
  ['m', 1e6],
  ['g', 1e9],
  ['t', 1e12],
  ['kb', 2 ** 10],
  ['mb', 2 ** 20],
  ['gb', 2 ** 30],
  ['tb', 2 ** 40],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
])

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
])

export function readNats(file: string, text: string): SettingCollector {
  const reader = new NatsReader(file, text)
  reader.read()
  return reader.collector
}

/** Ends the reading at the first mistake: what follows it can no longer be told apart. */
class SyntaxProblem extends Error {
  readonly at: number
  constructor(at: number, message: string) {
    super(message)
    this.at = at
  }
}

class NatsReader {
  readonly collector: SettingCollector = new SettingCollector()
  readonly #file: string
  readonly #text: string
  readonly #lineStarts: readonly number[]
  #at = 0

  constructor(file: string, text: string) {
    this.#file = file
    this.#text = text
    this.#lineStarts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)]
  }

  read(): void {
    try {
      this.#entries('', 0)
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error
      this.collector.endAt(this.#origin(error.at), error.message)
    }
  }

  #entries(prefix: string, depth: number): void {
    const opened = this.#at
    if (depth > DEPTH_MAX) throw new SyntaxProblem(opened, 'nested too deeply')
    for (;;) {
      this.#skip(/[\s,;]+/y)
      if (this.#at >= this.#text.length) {
        if (depth > 0) throw new SyntaxProblem(opened - 1, 'this "{" is never closed by a "}"')
        return
      }
      if (this.#text[this.#at] === '}') {
        if (depth === 0) throw new SyntaxProblem(this.#at, 'a "}" without a "{"')
        this.#at += 1
        return
      }
      this.#entry(prefix, depth)
    }
  }

  #entry(prefix: string, depth: number): void {
    const at = this.#at
    const key = this.#key()
    const name = prefix === '' ? key : `${prefix}.${key}`
    this.#skip(/[ \t]+/y)
    const separated = this.#take(/[:=]/y) !== undefined
    if (separated) this.#skip(/[ \t]+/y)
    if (key === 'include' && !separated) {
      throw new SyntaxProblem(at, 'include is not supported: put the settings in one file')
    }
    if (this.#take(/\{/y) !== undefined) {
      this.collector.section(name, this.#origin(at))
      this.#entries(name, depth + 1)
    } else {
      this.collector.add(name, this.#value(), this.#origin(at))
    }
    this.#entryEnd()
  }

  #key(): string {
    const at = this.#at
    const key = this.#quoted() ?? this.#take(/[^\s:={}[\],;#"']+/y)
    if (key === undefined || key === '') throw new SyntaxProblem(at, 'expected the name of a key')
    return key
  }

  #value(): Written {
    if (this.#take(/\[/y) !== undefined) return this.#list()
    const text = this.#scalar()
    return text === undefined ? { kind: 'nothing' } : { kind: 'text', text }
  }

  #list(): Written {
    const opened = this.#at - 1
    const items: string[] = []
    for (;;) {
      this.#skip(/[\s,]+/y)
      if (this.#take(/\]/y) !== undefined) return { kind: 'list', items }
      if (this.#at >= this.#text.length) {
        throw new SyntaxProblem(opened, 'this "[" is never closed by a "]"')
      }
      const item = this.#scalar()
      if (item === undefined) throw new SyntaxProblem(this.#at, 'a list holds plain values only')
      items.push(item)
    }
  }

  #scalar(): string | undefined {
    const at = this.#at
    const quoted = this.#quoted()
    if (quoted !== undefined) return quoted
    const bare = this.#take(/[^\s,;[\]{}]+/y)
    if (bare === undefined || bare.startsWith('#') || bare.startsWith('//')) {
      this.#at = at
      return undefined
    }
    if (bare.startsWith('$')) {
      throw new SyntaxProblem(at, 'variables are not supported: quote a value that begins with "$"')
    }
    return plainNumber(bare)
  }

  /** A quoted text with its escapes resolved; undefined when there is no quote here. */
  #quoted(): string | undefined {
    const opened = this.#at
    const quote = this.#text[opened]
    if (quote !== '"' && quote !== "'") return undefined
    let text = ''
    for (let at = opened + 1; at < this.#text.length; at++) {
      const char = this.#text[at]
      if (char === quote) {
        this.#at = at + 1
        return text
      }
      if (char === '\n') break
      if (char !== '\\') {
        text += char
        continue
      }
      at += 1
      const escaped = ESCAPES.get(this.#text[at] ?? '')
      if (escaped === undefined) throw new SyntaxProblem(at - 1, 'unknown escape in a quoted text')
      text += escaped
    }
    throw new SyntaxProblem(opened, 'this quote is never closed on its line')
  }

  /** After a value comes the end of its line, a separator, a comment or the end of the block. */
  #entryEnd(): void {
    this.#skip(/[ \t\r]+/y)
    const next = this.#text[this.#at]
    if (next === undefined || next === '\n' || ',;}'.includes(next)) return
    throw new SyntaxProblem(this.#at, 'expected the end of the line: quote a value that has spaces')
  }

  /** Skips what `pattern` matches, and comments. */
  #skip(pattern: RegExp): void {
    while (
      this.#take(pattern) !== undefined ||
      (this.#atLineOrSpace() && this.#take(/(?:#|\/\/)[^\n]*/y) !== undefined)
    ) {
      // Each turn has moved on.
    }
  }

  #atLineOrSpace(): boolean {
    const before = this.#text[this.#at - 1]
    return before === undefined || /[\s,;{}[\]"']/.test(before)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#at = pattern.lastIndex
    return match[0]
  }

  #origin(at: number): Origin {
    let line = 0
    let high = this.#lineStarts.length - 1
    while (line < high) {
      const middle = (line + high + 1) >> 1
      if ((this.#lineStarts[middle] ?? 0) <= at) line = middle
      else high = middle - 1
    }
    const column = at - (this.#lineStarts[line] ?? 0) + 1
    return { kind: 'file', file: this.#file, line: line + 1, column }
  }
}

/** `10mb` as `10485760`; anything that is no number with a NATS unit stays as it is. */
function plainNumber(bare: string): string {
  const match = /^(-?\d{1,15})([kmgt](?:i?b)?)$/i.exec(bare)
  const scale = SCALES.get(match?.[2]?.toLowerCase() ?? '')
  return match === null || scale === undefined ? bare : String(Number(match[1]) * scale)
}
