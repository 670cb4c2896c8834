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
]
