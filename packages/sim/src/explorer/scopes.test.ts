/**
 * The scopes that take seconds to minutes, asked for by EXPLORER: `all` for those of every change,
 * `large` for the others, or the name of one.
 */
import assert from 'node:assert/strict'
import { env } from 'node:process'
import test from 'node:test'
import * as cores from '@liftbridge/replication'
import { explore } from './explore.ts'
import { LARGE_SCOPES, SCOPES } from './scopes.ts'

const wanted = env['EXPLORER']
const groups = [
  ['all', SCOPES],
  ['large', LARGE_SCOPES],
] as const

for (const [group, scopes] of groups) {
  for (const [name, scope] of Object.entries(scopes)) {
    const skip = wanted !== group && wanted !== name
    test(`no interleaving breaks a rule: ${name}`, { skip }, (t) => {
      const { closed, violation, states, transitions, depth } = explore(cores, scope)
      t.diagnostic(`${states} states, ${transitions} steps, depth ${depth}`)
      assert.equal(violation, undefined)
      assert.ok(closed)
    })
  }
}
