import { ConfigError } from '../config-error.ts'
import { readNats } from './nats-file.ts'
import type { Setting } from './setting.ts'
import { readYaml } from './yaml-file.ts'

/** A configuration file is a few KiB; the bound keeps a wrong path from being read into memory. */
export const CONFIG_FILE_MAX_BYTES: number = 256 * 1024

export type Syntax =
  | { readonly kind: 'yaml' }
  | { readonly kind: 'nats'; readonly line: number; readonly because: string }

export interface FileSettings {
  readonly syntax: Syntax
  readonly settings: readonly Setting[]
  /** What is wrong with the file as a text, a name given twice above all, each with its place. */
  readonly problems: readonly string[]
}

/**
 * Reads the settings in a file's text, in either syntax. Throws ConfigError when it cannot be read
 * to its end; other problems are returned, so that those of the values can stand beside them.
 */
export function readConfigText(file: string, text: string): FileSettings {
  const syntax = detectSyntax(text)
  // A byte order mark is what some editors put before the first key.
  const plain = text.replace(/^\uFEFF/, '')
  const collector = syntax.kind === 'yaml' ? readYaml(file, plain) : readNats(file, plain)
  const { settings, problems } = collector
  if (collector.isCutShort) throw new ConfigError([fileHeadline(file, syntax), ...problems])
  return { syntax, settings, problems }
}

/**
 * Which syntax a file is in, told by its lines and not by its name. Both allow `key: value`, so a
 * file is YAML unless a line has what YAML has not: `key {`, `key = value`, `key value`, or `//`.
 */
export function detectSyntax(text: string): Syntax {
  if (JSON_START.test(text)) return { kind: 'yaml' }
  for (const [index, line] of text.split('\n').entries()) {
    const mark = NATS_MARK.exec(line)
    // Only the mark is shown: the rest of the line may be a password [A6].
    if (mark !== null) return { kind: 'nats', line: index + 1, because: mark[0].trim() }
  }
  return { kind: 'yaml' }
}

/** JSON is YAML, though its lines may end in a brace. */
const JSON_START = /^(?:\s|#[^\n]*\n)*\{/

/** A key, then an opening brace that ends the line, or `=`, or a value with no colon between. */
const NATS_MARK =
  /^\s*(?:\/\/|["']?[A-Za-z][\w.-]{0,99}["']?(?:[ \t]*[:=]?[ \t]*\{\s*(?=$|#|\/\/)|[ \t]*=|[ \t]*\{|[ \t]+(?=["'[\w$/-])))/

/** The first line of an error in a file: what it was taken for decides what its mistakes are. */
export function fileHeadline(file: string, syntax: Syntax): string {
  const readAs =
    syntax.kind === 'yaml'
      ? 'read as YAML'
      : `read as the older NATS-style syntax because of line ${syntax.line}: ${syntax.because}`
  return `Failed to load configuration file: ${file} (${readAs})`
}
