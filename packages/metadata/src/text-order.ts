/**
 * Orders strings by their UTF-8 bytes, as Go does. JavaScript compares UTF-16 code units, which
 * differs as soon as a surrogate pair meets a character above U+D7FF; servers of both kinds must
 * break ties alike.
 */
export const compareUtf8 = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    const leftSurrogate = isSurrogate(left)
    // Code points above U+FFFF sort after every other; among two surrogates, or two others, the
    // order of the units is the order of the code points.
    if (leftSurrogate !== isSurrogate(right)) return leftSurrogate ? 1 : -1
    return left - right
  }
  return a.length - b.length
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff
