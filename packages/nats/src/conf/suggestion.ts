/** The one of `names` that `word` was probably meant to be. */
export function suggestion(word: string, names: readonly string[]): string | undefined {
  // Longer words cannot be near to a setting, and would cost time.
  if (word.length > 64) return undefined
  let best: string | undefined
  let bestDistance = 1 + Math.floor(word.length / 4)
  for (const name of names) {
    const distance = editDistance(word, name)
    if (distance > bestDistance || (best !== undefined && distance === bestDistance)) continue
    best = name
    bestDistance = distance
  }
  return best
}

/** Letters to insert, drop or change until one word is the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
