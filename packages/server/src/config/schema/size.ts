/**
 * Sizes in bytes: a plain integer, or a number with a unit. `KiB MiB GiB TiB` are powers of 1,024,
 * `kB MB GB TB` powers of 1,000, as the standards have it. Case does not matter.
 */
export type SizeResult =
  | { readonly kind: 'ok'; readonly bytes: number }
  | { readonly kind: 'bad'; readonly reason: string }

const BYTES_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
])

const TEXT_MAX_CHARS = 64

/** Reads a size into bytes. Never throws. */
export function parseSize(text: string): SizeResult {
  const trimmed = text.trim()
  const match = /^([+-]?\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(trimmed.slice(0, TEXT_MAX_CHARS + 1))
  const scale = BYTES_PER_UNIT.get(match?.[2]?.toLowerCase() ?? '')
  if (match === null || scale === undefined || trimmed.length > TEXT_MAX_CHARS) {
    return bad('not a size: write bytes as a number, or for example 256MiB or 1GB')
  }
  const bytes = Number(match[1]) * scale
  if (!Number.isInteger(bytes)) return bad('not a whole number of bytes')
  if (!Number.isSafeInteger(bytes)) return bad(`more than ${Number.MAX_SAFE_INTEGER} bytes`)
  // Adding zero makes a plain zero of a negative one.
  return { kind: 'ok', bytes: bytes + 0 }
}

function bad(reason: string): SizeResult {
  return { kind: 'bad', reason }
}

/** An exact text that `parseSize` reads back: `256MiB`, `1000`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const scale = BYTES_PER_UNIT.get(unit.toLowerCase()) ?? 1
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`
  }
  return String(bytes)
}
