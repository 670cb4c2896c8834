import assert from 'node:assert/strict'
import { env } from 'node:process'
import test from 'node:test'
import * as cores from '@liftbridge/replication'
import { explore } from './explore.ts'
import { loadCoresWith } from './load-cores.ts'
import { PLANTED_BUGS, scopeOf } from './planted-bugs.ts'
import { SMALL } from './scopes.ts'

/** Without it the bugs that take long are left out. */
const ALL = env['EXPLORER'] === 'all'
const LIMIT = ALL ? 1_000_000 : 60_000

test('no interleaving in a small scope breaks a rule, and none is left out', () => {
  for (const scope of [SMALL, { ...SMALL, restarts: 1 }, { ...SMALL, epochs: 1, isrChanges: 2 }]) {
    const { closed, violation, states } = explore(cores, scope, { states: LIMIT })
    assert.equal(violation, undefined)
    assert.ok(closed, `${states} states were not all`)
    assert.ok(states > 300, `${states} states are too few to mean anything`)
  }
})

for (const bug of PLANTED_BUGS) {
  const skip = bug.slow === true && !ALL
  test(`the explorer finds: ${bug.name}`, { skip }, async () => {
    const broken = await loadCoresWith(bug.edit)
    const { prefix = [], breaks = /^(R4|D1)/ } = bug
    const { violation, states } = explore(broken, scopeOf(bug), { states: LIMIT, prefix })
    assert.match(violation?.rule ?? `nothing in ${states} states`, breaks)
    assert.ok((violation?.story.length ?? 0) > 0)
  })
}
