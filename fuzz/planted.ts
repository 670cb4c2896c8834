/** A parser with a bug that random bytes reach once in four thousand million times. */
export function behindFourBytes(bytes: Uint8Array): void {
  if (bytes[0] !== 0x4c) return
  if (bytes[1] !== 0x49) return
  if (bytes[2] !== 0x46) return
  if (bytes[3] !== 0x54) return
  throw new Error('planted')
}
