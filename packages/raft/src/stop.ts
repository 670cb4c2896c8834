import type { Core } from './core.ts'
import { fail, refuse } from './effects.ts'
import { FAILURE_TEXTS } from './failure.ts'
import type { InputEvent } from './input.ts'

/** Everybody who waits is told that nothing more will come. */
export function stop(core: Core): void {
  core.stopped = true
  const { role } = core
  if (role.kind === 'leader') {
    for (const ticket of role.waiting.values()) fail(core, ticket, 'stopped', { undecided: true })
    const waiting = [...role.changes, ...role.reads]
    for (const { ticket } of waiting) fail(core, ticket, 'stopped')
    if (role.transfer !== undefined) fail(core, role.transfer.ticket, 'stopped')
  }
  if (core.installing !== undefined) refuse(core, core.installing, FAILURE_TEXTS.stopped)
  for (const held of core.durability.drop()) {
    if (held.kind === 'response')
      refuse(core, { from: held.to, id: held.id }, FAILURE_TEXTS.stopped)
  }
  core.role = { kind: 'follower', leader: undefined, lastContact: undefined, electionAt: Infinity }
}

/** A stopped core only says that it is. */
export function turnAway(core: Core, input: InputEvent): void {
  switch (input.kind) {
    case 'request':
      refuse(core, input, FAILURE_TEXTS.stopped)
      return
    case 'propose':
      for (const { ticket } of input.proposals) fail(core, ticket, 'stopped')
      return
    case 'barrier':
    case 'read':
    case 'change-membership':
    case 'transfer-leadership':
      fail(core, input.ticket, 'stopped')
      return
    case 'tick':
    case 'response':
    case 'request-failed':
    case 'persisted':
    case 'request-snapshot':
    case 'snapshot-taken':
    case 'snapshot-failed':
    case 'snapshot-installed':
    case 'install-failed':
    case 'stop':
      return
    default:
      input satisfies never
  }
}
