import { changed, memberOf } from './configuration.ts'
import type { Core, LeaderState } from './core.ts'
import { appendAsLeader, fail } from './effects.ts'
import type { ConfigurationEntry } from './entry.ts'
import { newProgress } from './progress.ts'
import { replicate } from './replication.ts'

/**
 * One change at a time: the next one is appended when the one before it is committed and so is an
 * entry of this term, without which two leaders could disagree by two servers [reliability M10].
 */
export function appendNextChange(core: Core, leader: LeaderState): void {
  while (mayChange(core, leader)) {
    const next = leader.changes.shift()
    if (next === undefined) return
    const after = changed(core.memberships.configuration, next.change)
    if (after.kind === 'invalid') {
      fail(core, next.ticket, 'bad-configuration', { text: after.reason })
      continue
    }
    const { configuration } = after
    const index = core.log.lastIndex + 1
    const { term } = core.hardState
    const entry: ConfigurationEntry = { kind: 'configuration', index, term, configuration }
    appendAsLeader(core, leader, [entry])
    leader.waiting.set(index, next.ticket)
    followConfiguration(core, leader)
  }
}

function mayChange(core: Core, leader: LeaderState): boolean {
  if (leader.changes.length === 0 || leader.transfer !== undefined) return false
  const { commitIndex, memberships } = core
  return memberships.index <= commitIndex && leader.firstIndexOfTerm <= commitIndex
}

/** The configuration is in effect from its append on, so new members are served from here on. */
function followConfiguration(core: Core, leader: LeaderState): void {
  const { configuration } = core.memberships
  for (const { id } of configuration.servers) {
    if (id === core.self || leader.peers.has(id)) continue
    leader.peers.set(id, newProgress(core, id))
  }
  for (const [id, progress] of leader.peers) {
    if (memberOf(configuration, id) !== undefined) continue
    // A last word, so that the server that leaves can know it; nobody waits for its answer.
    replicate(core, leader, progress)
    leader.peers.delete(id)
  }
}
