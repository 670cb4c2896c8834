/** Assertions on outcomes, in the words of the status table. */
import assert from 'node:assert/strict'
import type { Outcome } from './api-client.ts'
import type { StreamEnd } from './subscription.ts'

/** The status must have this code and exactly this text, or text that the expression matches. */
export function expectStatus(
  outcome: Outcome<unknown> | StreamEnd,
  code: string,
  details?: string | RegExp,
): void {
  const got = `${outcome.code} ${JSON.stringify(outcome.details)}`
  assert.equal(outcome.code, code, `got ${got}, expected code ${code}`)
  if (details === undefined) return
  if (typeof details === 'string') assert.equal(outcome.details, details, `got ${got}`)
  else assert.match(outcome.details, details)
}

/** A time in nanoseconds that must lie within `toleranceMs` of this machine's clock. */
export function expectNowNs(timestampNs: string, toleranceMs = 60_000): void {
  const differenceMs = Math.abs(Number(BigInt(timestampNs) / 1_000_000n) - Date.now())
  assert.ok(differenceMs < toleranceMs, `${timestampNs} ns is ${differenceMs} ms away from now`)
}
