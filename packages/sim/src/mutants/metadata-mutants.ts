/** Planted bugs of Raft, its store and the metadata. */
import type { Mutant } from './mutant.ts'

export const METADATA_MUTANTS: readonly Mutant[] = [
  {
    name: 'vote-not-persisted',
    breaks: 'a vote is given before, and without, being written down [M6]',
    draw: { servers: 3, faults: ['kill', 'power-cut', 'cut', 'route'], faultEveryMs: 1_500 },
    edits: [
      {
        file: 'raft/src/votes.ts',
        find: '    core.durability.setHardState(core.hardState)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'hard-state-not-written',
    breaks: 'term and vote never reach the disk [M6]',
    draw: { servers: 3, faults: ['kill', 'power-cut', 'cut', 'route'], faultEveryMs: 1_500 },
    edits: [
      {
        file: 'server/src/raft/store/raft-store.ts',
        find: 'await writeHardState(disk, directory, hardState)',
        replace: 'await Promise.resolve()',
      },
    ],
  },
  {
    name: 'votes-twice',
    breaks: 'a server votes for several candidates of one term [M1]',
    draw: { servers: 3, faults: ['kill', 'power-cut', 'cut', 'route'], faultEveryMs: 1_500 },
    edits: [
      {
        file: 'raft/src/votes.ts',
        find: '  if (votedFor !== undefined) return votedFor === candidate\n',
        replace: '',
      },
    ],
  },
  {
    name: 'minority-decides',
    breaks: 'half of the voters elect and commit [M1, M4]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/quorum.ts',
        find: 'return Math.floor(voters / 2) + 1',
        replace: 'return Math.max(1, Math.floor(voters / 2))',
      },
    ],
  },
  {
    name: 'raft-answers-before-sync',
    breaks: 'entries are acknowledged to the metadata leader before they are durable [M6]',
    draw: { servers: 3, faults: ['power-cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/durability.ts',
        find: 'if (sequence <= this.#confirmed) return outgoing',
        replace: 'if (sequence >= 0) return outgoing',
      },
      {
        file: 'server/src/raft/store/raft-store.ts',
        find: '    await this.#log.sync()\n    this.#dirty = false',
        replace: '    this.#dirty = false',
      },
    ],
  },
  {
    name: 'raft-log-not-matched',
    breaks: 'entries are appended behind others than the leader has [M3]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/follower.ts',
        find: 'return own === undefined || own === term',
        replace: 'return own !== -1 || own === term',
      },
    ],
  },
  {
    name: 'elects-whoever-asks',
    breaks: 'a candidate that lacks committed entries is elected [M4]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/raft-log.ts',
        find: 'isBehindOrEqual(',
        replace:
          'isBehindOrEqual(_index: number, _term: number): boolean {\n    return true\n  }\n\n  isBehindOrEqualOnce(',
      },
    ],
  },
  {
    name: 'metadata-apply-differs',
    breaks: 'applying an operation gives another state on the server that proposed it [M7]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'server/src/metadata/metadata.ts',
        find: 'const outcome = applyEntry(this.#state, entry, index)',
        replace:
          'const outcome = applyEntry(this.#state, entry, (index + (this.leadership.kind === "here" ? 1 : 0)) as typeof index)',
      },
    ],
  },
  {
    name: 'deletes-what-metadata-misses',
    breaks: 'directories of streams that the metadata does not know are removed at start [M9]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'server/src/metadata/stream-directories.ts',
        find: 'if (!removed && !wanted.has(name)) {',
        replace:
          'if (!removed && !wanted.has(name)) {\n        await this.#disk.removeTree(`${this.#root}/${name}`)',
      },
    ],
  },
  {
    name: 'leader-takes-entries-back',
    breaks: 'a metadata leader removes entries of its own log that it could not commit [M2]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/leader.ts',
        find: '  appendNextChange(core, leader)\n  // A change',
        replace: `  if (
    core.now >= leaseEnd(core, leader) - 300 &&
    core.log.lastIndex > Math.max(core.commitIndex, leader.firstIndexOfTerm)
  ) {
    core.log.truncateFrom(core.log.lastIndex)
    core.durability.truncateFrom(core.log.lastIndex + 1)
  }
  appendNextChange(core, leader)\n  // A change`,
      },
    ],
  },
  {
    name: 'conflicts-kept',
    breaks:
      'entries that contradict those of the leader stay, and others are appended to them [M3]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/follower.ts',
        find: 'index > log.baseIndex && (index > log.lastIndex || log.termAt(index) !== term)',
        replace: 'index > log.lastIndex && term > 0',
      },
      {
        file: 'raft/src/follower.ts',
        find: 'return own === undefined || own === term',
        replace: 'return own !== -1 || own === term',
      },
    ],
  },
  {
    name: 'commits-what-nobody-vouched-for',
    breaks: 'a follower commits all it has up to the commit index, whoever it is from [M5]',
    draw: { servers: 3, faults: ['cut', 'freeze', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/follower.ts',
        find: 'Math.min(request.commitIndex, request.previousIndex + request.entries.length)',
        replace: 'Math.min(request.commitIndex, core.log.lastIndex)',
      },
      {
        file: 'raft/src/follower.ts',
        find: `    answer(core, asker, { success: false, lastIndex, noRetryBackoff: true })
    return
  }
  const unfit`,
        replace: `    commitThrough(core, Math.min(request.commitIndex, core.log.lastIndex))
    answer(core, asker, { success: false, lastIndex, noRetryBackoff: true })
    return
  }
  const unfit`,
      },
    ],
  },
  {
    name: 'stored-under-a-later-term',
    breaks: 'a follower writes entries down under the term in which it got them [M3, M5]',
    draw: { servers: 3, faults: ['kill', 'power-cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/effects.ts',
        find: '  core.durability.append(entries)\n',
        replace:
          '  core.durability.append(entries.map((entry) => ({ ...entry, term: core.hardState.term })))\n',
      },
    ],
  },
  {
    name: 'joining-replaces-the-silent',
    breaks: 'taking a server in drops those that the metadata leader has not heard of [M10]',
    draw: { servers: 5, faults: ['wipe', 'kill', 'cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/membership.ts',
        find: '    const { configuration } = after\n',
        replace: `    const heard = after.configuration.servers.filter(({ id }) => {
      const peer = leader.peers.get(id)
      return peer === undefined || id === next.change.id || peer.matchIndex > 0
    })
    const configuration = { servers: heard }
`,
      },
    ],
  },
  {
    name: 'joining-forgets-the-others',
    breaks: 'a server that is taken in again is alone with the metadata leader [M10]',
    draw: { servers: 5, faults: ['wipe', 'kill', 'cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'raft/src/membership.ts',
        find: '    const { configuration } = after\n',
        replace: `    const { servers } = after.configuration
    const configuration = {
      servers: servers.filter(({ id }) => id === core.self || id === next.change.id),
    }
`,
      },
    ],
  },
  {
    name: 'garbled-snapshot-stops-a-start',
    breaks:
      'a server does not start with a garbled metadata snapshot, though it has all entries [M9]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'server/src/raft/store/snapshot-store.ts',
        find: `      if (typeof loaded !== 'string') return loaded\n`,
        replace: `      if (typeof loaded !== 'string') return loaded\n      if (loaded !== '') throw new Error(loaded)\n`,
      },
    ],
  },
  {
    name: 'snapshot-forgets-readonly',
    breaks: 'a snapshot of the metadata does not say which partitions are readonly [M7]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'metadata/src/snapshot.ts',
        find: 'return { ...roles, paused, readonly, pauseTimestamps, readonlyTimestamps }',
        replace:
          'return { ...roles, paused, readonly: readonly && false, pauseTimestamps, readonlyTimestamps }',
      },
    ],
  },
  {
    name: 'deposed-leaves-on-election',
    breaks:
      'a leader leaves the ISR when another is elected, though that one may have lost its data [R8]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'server/src/cluster/controller.ts',
        find: `        logger.info('metadata: partition gets another leader', {`,
        replace: `        const now = metadata.state.streams.get(stream)?.partitions[partition]
        if (now && now.leader !== report.leader) {
          const { leader, leaderEpoch, epoch: partitionEpoch } = now
          const left = { stream, partition, leader, leaderEpoch, partitionEpoch }
          void metadata.propose({ kind: 'shrink-isr', replica: report.leader, ...left })
        }
        logger.info('metadata: partition gets another leader', {`,
      },
    ],
  },
]
