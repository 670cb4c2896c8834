import { decodeText, encodeText, isUtf8 } from '@liftbridge/wire'
import { sha256Hex } from './sha256.ts'

/**
 * Directory names of streams. Any text becomes one path element that is safe everywhere, and two
 * texts never become the same one [A3, G15]:
 *
 *     plain    [A-Za-z0-9_-][A-Za-z0-9._-]*, at most 255 bytes: itself, so that directories of
 *              Go Liftbridge stay readable
 *     escaped  other bytes of the UTF-8, and a first dot, as %XX in capitals; holds a % at least
 *     hashed   when that exceeds 200 bytes: its first 120, then %~ and the SHA-256 of the text;
 *              cannot be decoded, the identity file inside the directory holds the name
 *
 * A name is never empty, `.` or `..`, and never begins with a dot: such names belong to the
 * server. On a file system that folds case two names may still meet; the identity file tells.
 */
const PLAIN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/

/** What file systems take. */
const PLAIN_MAX_BYTES = 255
/** Less than they take, so that an escaped name can be moved aside under a longer one. */
const ESCAPED_MAX_BYTES = 200
const HASHED_PREFIX_BYTES = 120

/** No escape has this second character, so a hashed name is never an escaped one. */
const HASH_MARK = '%~'

/** The directory name of a stream. Total: takes any well-formed text, the empty one too. */
export const encodeDirectoryName = (stream: string): string => {
  if (stream.length <= PLAIN_MAX_BYTES && PLAIN.test(stream)) return stream
  // The empty text has no byte to escape.
  const escaped = stream === '' ? '%' : escape(stream)
  if (escaped.length <= ESCAPED_MAX_BYTES) return escaped
  const prefix = escaped.slice(0, HASHED_PREFIX_BYTES).replace(/%.?$/, '')
  return `${prefix}${HASH_MARK}${sha256Hex(encodeText(stream))}`
}

export type DecodedDirectoryName =
  | { readonly kind: 'stream'; readonly name: string }
  /** The name is too long to tell from the directory. */
  | { readonly kind: 'hashed' }
  /** No stream has this directory name. */
  | { readonly kind: 'foreign' }

/** The reverse of `encodeDirectoryName`. */
export const decodeDirectoryName = (directory: string): DecodedDirectoryName => {
  if (directory.includes(HASH_MARK)) return { kind: 'hashed' }
  const name = directory === '%' ? '' : unescape(directory)
  // Whatever decodes but would be written differently is not ours: `%41`, `%2f`, a plain name too long.
  return name !== undefined && encodeDirectoryName(name) === directory
    ? { kind: 'stream', name }
    : { kind: 'foreign' }
}

const escape = (stream: string): string => {
  let escaped = ''
  for (const byte of encodeText(stream)) {
    const character = String.fromCharCode(byte)
    const kept = escaped === '' ? /[A-Za-z0-9_-]/ : /[A-Za-z0-9._-]/
    escaped += kept.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return escaped
}

const unescape = (directory: string): string | undefined => {
  const bytes: number[] = []
  for (let i = 0; i < directory.length; i += 1) {
    const character = directory.charAt(i)
    if (character === '%') {
      const digits = directory.slice(i + 1, i + 3)
      if (!/^[0-9A-F]{2}$/.test(digits)) return undefined
      bytes.push(Number.parseInt(digits, 16))
      i += 2
    } else if (/[A-Za-z0-9._-]/.test(character)) {
      bytes.push(character.charCodeAt(0))
    } else {
      return undefined
    }
  }
  const text = Uint8Array.from(bytes)
  return isUtf8(text, 0, text.length) ? decodeText(text) : undefined
}
