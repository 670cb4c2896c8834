import { spread } from './core.ts'
import type { Core } from './core.ts'
import { refuse, respond } from './effects.ts'
import type { Asker } from './effects.ts'
import { heedLeader } from './follower.ts'
import { assert } from './invariant.ts'
import type { InstallSnapshotRequest, SnapshotPosition } from './messages.ts'
import { entryBytes } from './raft-log.ts'
import type { Index, Moment } from './units.ts'

/** After a snapshot that could not be written, the next attempt waits this part of the interval. */
const RETRY_PART = 12

/** Makes a snapshot due: when enough was applied and its time has come, or when it is too much. */
export function settleSnapshot(core: Core): void {
  const { snapshotting, parameters } = core
  if (snapshotting.underWay || core.installing !== undefined) return
  const timely = core.now >= snapshotting.dueAt
  if (timely) snapshotting.dueAt = core.now + spread(core, parameters.snapshotIntervalMs)
  const entries = core.appliedIndex - (core.snapshot?.index ?? 0)
  const due =
    snapshotting.requested ||
    (timely && entries >= parameters.snapshotThreshold) ||
    (core.appliedBytes >= parameters.snapshotThresholdBytes && core.now >= snapshotting.pausedUntil)
  snapshotting.requested = false
  if (!due || entries === 0) return
  snapshotting.underWay = true
  core.draft.takeSnapshot = positionOf(core, core.appliedIndex)
}

function positionOf(core: Core, index: Index): SnapshotPosition {
  const term = core.log.termAt(index)
  assert(term !== undefined, `no term of applied entry ${index}`)
  const membership = core.memberships.at(index)
  const { configuration, index: configurationIndex } = membership
  return { index, term, configuration, configurationIndex }
}

/** The snapshot is durable: what it covers may go, but for what late peers may still ask for. */
export function onSnapshotTaken(core: Core, snapshot: SnapshotPosition): void {
  assert(snapshot.index <= core.appliedIndex, `snapshot ${snapshot.index} of what is not applied`)
  core.snapshotting.underWay = false
  if (snapshot.index <= (core.snapshot?.index ?? 0)) return
  core.snapshot = snapshot
  core.memberships.startAt(snapshot)
  core.appliedBytes = bytesBetween(core, snapshot.index, core.appliedIndex)
  const through = compactionEnd(core, snapshot.index)
  if (through <= core.log.baseIndex) return
  core.log.compactThrough(through)
  core.durability.compactThrough(through)
}

export function onSnapshotFailed(core: Core): void {
  const { snapshotting, parameters } = core
  snapshotting.underWay = false
  snapshotting.pausedUntil = core.now + spread(core, parameters.snapshotIntervalMs / RETRY_PART)
}

function bytesBetween(core: Core, after: Index, through: Index): number {
  if (through <= after) return 0
  return core.log.range(after + 1, through).reduce((sum, entry) => sum + entryBytes(entry), 0)
}

/** As many entries stay behind the snapshot as both bounds on them allow. */
function compactionEnd(core: Core, snapshotIndex: Index): Index {
  const { trailingEntries, trailingMaxBytes } = core.parameters
  const first = Math.max(core.log.baseIndex, core.log.lastIndex - trailingEntries)
  let bytes = 0
  for (let index = snapshotIndex; index > first; index -= 1) {
    const entry = core.log.entryAt(index)
    if (entry === undefined) return index
    bytes += entryBytes(entry)
    if (bytes > trailingMaxBytes) return index
  }
  return Math.min(first, snapshotIndex)
}

/** A leader says that what is missing here exists as a snapshot only. */
export function answerInstall(core: Core, asker: Asker, request: InstallSnapshotRequest): void {
  const { snapshot } = request
  const heeded = heedLeader(core, request)
  if (heeded && (snapshot.term > request.term || snapshot.configurationIndex > snapshot.index)) {
    refuse(core, asker, 'snapshot contradicts itself')
  } else if (!heeded || core.installing !== undefined) {
    answer(core, asker, false)
  } else if (snapshot.index <= core.commitIndex) {
    // Everything in it is here already; the state machine must not go back.
    answer(core, asker, true)
  } else {
    core.installing = { ...asker, snapshot }
    core.draft.install = { id: asker.id, snapshot }
  }
}

/** Keeps what follows the snapshot if the log agrees with it, else starts over from it [Raft 7]. */
export function onSnapshotInstalled(core: Core): void {
  const { installing, log } = core
  assert(installing !== undefined, 'no snapshot is being installed')
  const { snapshot } = installing
  const { index, term } = snapshot
  assert(index > core.commitIndex, `snapshot ${index} behind the commit index`)
  if (log.termAt(index) === term) {
    log.compactThrough(index)
    core.durability.compactThrough(index)
  } else {
    log.resetTo(index, term)
    core.memberships.truncateFrom(index + 1)
    core.durability.resetTo(index, term)
  }
  core.memberships.startAt(snapshot)
  core.snapshot = snapshot
  core.commitIndex = index
  core.appliedIndex = index
  core.appliedBytes = 0
  core.installing = undefined
  answer(core, installing, true)
}

export function onInstallFailed(core: Core): void {
  const { installing } = core
  assert(installing !== undefined, 'no snapshot is being installed')
  core.installing = undefined
  answer(core, installing, false)
}

function answer(core: Core, asker: Asker, success: boolean): void {
  const { term } = core.hardState
  respond(core, asker, { kind: 'install-snapshot', term, success }, success ? 'log' : 'hard-state')
}

export function snapshotDeadline(core: Core): Moment {
  const { underWay, dueAt } = core.snapshotting
  return underWay || core.installing !== undefined ? Infinity : dueAt
}
