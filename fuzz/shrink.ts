/** How often a failing input is tried in smaller forms. */
const ATTEMPTS = 5_000

/**
 * The smallest input found that still fails: parts are cut out, halves first, then bytes become
 * zero. `fails` answers whether an input fails in the same way.
 */
export async function shrink(
  input: Uint8Array,
  fails: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let smallest = input
  let attempts = 0
  const improve = async (candidate: Uint8Array): Promise<boolean> => {
    attempts++
    if (attempts > ATTEMPTS || !(await fails(candidate))) return false
    smallest = candidate
    return true
  }
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length;) {
      const shorter = without(smallest, at, size)
      if (!(await improve(shorter))) at += size
    }
  }
  for (let at = 0; at < smallest.length; at++) {
    if (smallest[at] === 0) continue
    const zeroed = smallest.slice()
    zeroed[at] = 0
    await improve(zeroed)
  }
  return smallest
}

function without(bytes: Uint8Array, at: number, size: number): Uint8Array {
  const rest = bytes.subarray(Math.min(at + size, bytes.length))
  const result = new Uint8Array(at + rest.length)
  result.set(bytes.subarray(0, at))
  result.set(rest, at)
  return result
}
