/** Voters needed to decide among `voters`: more than half. 1 of 0, so nobody decides for nobody. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/**
 * The largest number that a majority has reached, each voter being at its number: of match indexes
 * the one that may be committed, of moments of contact the one a quorum has answered since.
 * -Infinity without voters: nothing was decided by nobody.
 */
export function reachedByMajority(reached: readonly number[]): number {
  const descending = [...reached].sort((left, right) => right - left)
  return descending[majority(reached.length) - 1] ?? -Infinity
}
