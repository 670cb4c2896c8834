import { writeVarint32 } from './varint.ts'

/**
 * From here on `TypedArray.set`, which needs a view of its own (about 80 ns), beats a loop over the
 * bytes (about 1.6 ns each). Measured on Node 24; between 32 and 64 there is little between them.
 */
const VIEW_PAYS_FROM_BYTES = 48

/** Copies `source[start, end)` to `target` at `at` and returns the position after it. */
// eslint-disable-next-line max-params -- for each part of each message: no object is made for it
export function copyInto(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start = 0,
  end: number = source.length,
): number {
  if (end - start >= VIEW_PAYS_FROM_BYTES) {
    target.set(source.subarray(start, end), at)
    return at + end - start
  }
  let position = at
  for (let index = start; index < end; index++) target[position++] = source[index] as number
  return position
}

/** Writes the length of `source[start, end)`, then the bytes: the value of a protobuf field. */
// eslint-disable-next-line max-params -- for each part of each message: no object is made for it
export function writeBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): number {
  return copyInto(target, writeVarint32(target, at, end - start), source, start, end)
}
