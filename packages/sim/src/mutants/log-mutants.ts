/** Planted bugs of the log, of ingestion and of reading. */
import type { Mutant } from './mutant.ts'

export const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'sync-does-nothing',
    breaks: 'a log calls durable what it never synced [D2]',
    draw: { servers: 1, faults: ['power-cut'], faultEveryMs: 2_000, syncPolicy: 'interval' },
    edits: [{ file: 'log/src/sync.ts', find: '      await active.file.sync()\n', replace: '' }],
  },
  {
    name: 'segment-sealed-unsynced',
    breaks: 'a segment is sealed without a sync of its end [T5]',
    draw: { servers: 1, faults: ['power-cut'], faultEveryMs: 2_000, syncPolicy: 'interval' },
    edits: [{ file: 'log/src/roll.ts', find: '    await sealed.file.sync()\n', replace: '' }],
  },
  {
    name: 'names-not-synced',
    breaks: 'the names of new files are never synced [T5]',
    draw: { servers: 1, faults: ['power-cut'], faultEveryMs: 2_000, syncPolicy: 'interval' },
    edits: [
      {
        file: 'log/src/sync.ts',
        find: '    await core.disk.syncDirectory(path)\n',
        replace: '    await Promise.resolve()\n',
      },
    ],
  },
  {
    name: 'streams-directory-not-synced',
    breaks: 'a power cut takes the directory of all streams [D2]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['power-cut'],
      faultEveryMs: 4_000,
      syncPolicy: 'always',
    },
    edits: [
      {
        file: 'server/src/metadata/stream-directories.ts',
        find: `    await this.#disk.syncDirectory(this.#root.slice(0, this.#root.lastIndexOf('/')) || '/')\n`,
        replace: '',
      },
    ],
  },
  {
    name: 'offset-reused',
    breaks: 'now and then an offset is given twice [O1]',
    edits: [
      {
        file: 'log/src/append.ts',
        find: 'const base = core.nextOffset\n',
        replace:
          'const base = core.nextOffset % 23 === 22 ? core.nextOffset - 1 : core.nextOffset\n',
      },
    ],
  },
  {
    name: 'time-runs-backwards',
    breaks: 'a clock that is set back shows in the log [O6]',
    draw: { servers: 1, faults: ['clock'], faultEveryMs: 1_500 },
    edits: [
      {
        file: 'log/src/append.ts',
        find: 'stamp.timestampNs > last ? stamp.timestampNs : last',
        replace: 'stamp.timestampNs > 0n ? stamp.timestampNs : last',
      },
    ],
  },
  {
    name: 'torn-tail-kept',
    breaks: 'what a crash tore is left at the end of the log [T1]',
    draw: { servers: 1, faults: ['power-cut'], faultEveryMs: 2_000, syncPolicy: 'interval' },
    edits: [
      {
        file: 'log/src/segment-recovery.ts',
        find: '    await cutTail(core, segment, fileSize)\n',
        replace: '    segment.size = fileSize\n',
      },
    ],
  },
  {
    name: 'checkpoint-beyond-durable',
    breaks: 'the high watermark on disk names what is not durable [R3]',
    draw: { servers: 1, faults: ['power-cut'], faultEveryMs: 2_000, syncPolicy: 'interval' },
    edits: [
      {
        file: 'log/src/hints.ts',
        find: 'const durable = Math.min(core.highWatermark, core.syncedOffset)',
        replace: 'const durable = core.newestOffset',
      },
    ],
  },
  {
    name: 'failed-sync-ignored',
    breaks: 'a sync that failed is taken for done [D7]',
    draw: {
      servers: 1,
      faults: ['disk-error', 'power-cut'],
      faultEveryMs: 1_500,
      syncPolicy: 'interval',
    },
    edits: [
      {
        file: 'log/src/sync.ts',
        find: `      if (active.live) {
        core.fail(error)
        throw error
      }`,
        replace: '      if (error === undefined) throw error',
      },
    ],
  },
  {
    name: 'expected-offset-ignored',
    breaks: 'the offset a publisher expects is not compared [O7]',
    draw: { servers: 1, faults: ['kill'], faultEveryMs: 3_000 },
    edits: [
      {
        file: 'server/src/partition/ingest.ts',
        find: 'if (expected === -1 || expected === next) {',
        replace: 'if (expected >= -1) {',
      },
    ],
  },
  {
    name: 'refused-and-stored',
    breaks: 'a message whose expected offset is wrong is refused and stored all the same [D5]',
    draw: { servers: 1, faults: ['kill'], faultEveryMs: 3_000 },
    edits: [
      {
        file: 'server/src/partition/ingest.ts',
        find: 'if (keep) batch.records.keepOnly(keep)',
        replace: 'if (keep && batch.count < 0) batch.records.keepOnly(keep)',
      },
    ],
  },
  {
    name: 'reader-skips',
    breaks: 'a subscriber misses a message now and then [O4]',
    edits: [
      {
        file: 'server/src/api/subscribe.ts',
        find: '      if (record.offset > stop) break\n      const full = frames.add(record)',
        replace:
          '      if (record.offset > stop) break\n      if (record.offset % 17 === 16) continue\n      const full = frames.add(record)',
      },
    ],
  },
  {
    name: 'reader-sees-uncommitted',
    breaks: 'subscribers get what is not committed [R4, O2]',
    draw: { servers: 3, replicas: 3, faults: ['kill', 'cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'server/src/api/subscribe.ts',
        find: `: partition.log.reader({ from: range.start, until: 'committed' })`,
        replace: `: partition.log.reader({ from: range.start, until: 'written' })`,
      },
    ],
  },
  {
    name: 'epoch-begins-one-early',
    breaks: 'a leader notes its epoch at the last offset of the one before [G1, E3]',
    draw: { servers: 3, replicas: 3, faults: ['kill', 'cut', 'freeze'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'log/src/commit-log.ts',
        find: 'await noteEpoch(core, epoch, core.nextOffset)',
        replace: 'await noteEpoch(core, epoch, Math.max(0, core.nextOffset - 1))',
      },
    ],
  },
  {
    name: 'followers-note-no-epochs',
    breaks: 'the table of epochs lacks those that were learned as a follower [E3, KAFKA-7897]',
    draw: { servers: 3, replicas: 3, faults: ['kill', 'cut', 'freeze'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'log/src/append.ts',
        find: 'for (const { epoch, start } of starts) await noteEpoch(core, epoch, start)',
        replace:
          'for (const { epoch, start } of starts.slice(1)) await noteEpoch(core, epoch, start)',
      },
    ],
  },
  {
    name: 'checksums-not-compared',
    breaks: 'records are believed at start whatever their checksums say [T2]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'log/src/format/scan.ts',
        find: 'if (verify && crc32cView(',
        replace: 'if (verify && at < 0 && crc32cView(',
      },
    ],
  },
  {
    name: 'epoch-file-believed',
    breaks: 'the table of epochs in its file is not compared with the records [T3, E3]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'log/src/epoch-recovery.ts',
        find: 'const entries = checked ?? (await scanEpochs(core))',
        replace: 'const entries = checked ?? read ?? []',
      },
    ],
  },
  {
    name: 'garbage-stops-a-start',
    breaks: 'a log whose table of epochs cannot be read is not opened [T3, #243]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'log/src/hints.ts',
        find: `const entries = decodeEpochs(bytes)
  if (entries === undefined) core.report(`,
        replace: `const entries = decodeEpochs(bytes)
  if (entries === undefined) throw new Error('the table of epochs is unreadable')
  if (entries === undefined) core.report(`,
      },
    ],
  },
]
