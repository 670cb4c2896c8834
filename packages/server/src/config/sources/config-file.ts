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
}

/** Reads the settings in a file's text, in either syntax. Throws ConfigError. */
export function readConfigText(file: string, text: string): FileSettings {
  const syntax = detectSyntax(text)
  // A byte order mark is what some editors put before the first key.
  const plain = text.replace(/^\uFEFF/, '')
  const collector = syntax.kind === 'yaml' ? readYaml(file, plain) : readNats(file, plain)
  if (collector.problems.length > 0) {
    throw new ConfigError([
      `Failed to load configuration file: ${file}`,
      ...collector.problems,
      describeSyntax(file, syntax),
    ])
  }
  return { syntax, settings: collector.settings }
}

/**
 * Which syntax a file is in, told by its lines and not by its name. Both allow `key: value`, so a
 * file is YAML unless a line has what YAML has not: `key {`, `key = value`, `key value`, or `//`.
 */
export function detectSyntax(text: string): Syntax {
  for (const [index, line] of text.split('\n').entries()) {
    if (NATS_MARK.test(line)) {
      return { kind: 'nats', line: index + 1, because: line.trim().slice(0, 60) }
    }
  }
  return { kind: 'yaml' }
}

/** A key, then an opening brace that ends the line, or `=`, or a value with no colon between. */
const NATS_MARK =
  /^\s*(?:\/\/|["']?[A-Za-z][\w.-]*["']?\s*(?:[:=]?\s*\{\s*(?:(?:#|\/\/).*)?$|=|\{|\s(?![\s:])["'[\w$/-]))/

export function describeSyntax(file: string, syntax: Syntax): string {
  if (syntax.kind === 'yaml') return `(${file} was read as YAML)`
  return (
    `(${file} was read as the older NATS-style syntax because of line ${syntax.line}: ` +
    `${syntax.because})`
  )
}
