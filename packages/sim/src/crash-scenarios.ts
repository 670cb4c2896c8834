import type { CommitLogOptions, Disk } from '@liftbridge/log'
import { LogActor, openLog, type LogClaim } from './crash-log.ts'

/** What a log goes through while its crash points are recorded. */
export interface LogScenario {
  readonly name: string
  readonly options?: Partial<CommitLogOptions>
  run(disk: Disk, claim: (claim: LogClaim) => void): Promise<void>
}

const appendAndSync: LogScenario = {
  name: 'append and sync',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    await actor.append({ count: 1 })
    await actor.append({ count: 3, valueBytes: 700 })
    await actor.sync()
    await actor.append({ count: 2 })
    await actor.append({ count: 1, valueBytes: 1_500 })
    await actor.sync()
    await actor.append({ count: 1 })
  },
}

const roll: LogScenario = {
  name: 'roll',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    for (let round = 0; round < 3; round++) {
      await actor.append({ count: 4, valueBytes: 100 })
      if (round === 1) await actor.sync()
      await actor.append({ count: 1, valueBytes: 600 })
    }
    await actor.sync()
  },
}

const leaderEpochs: LogScenario = {
  name: 'leader epochs',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    await actor.append({ count: 2, epoch: 3 })
    await actor.sync()
    await actor.append({ count: 1, epoch: 5 })
    await actor.append({ count: 9, epoch: 8, valueBytes: 80 })
    await actor.append({ count: 1, epoch: 9 })
    await actor.sync()
  },
}

const checkpoint: LogScenario = {
  name: 'checkpoint of the high watermark',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    await actor.append({ count: 3 })
    await actor.checkpoint(1)
    await actor.sync()
    await actor.checkpoint(1)
    await actor.append({ count: 10, valueBytes: 90 })
    await actor.checkpoint(8)
    await actor.sync()
    await actor.checkpoint(12)
  },
}

const truncate: LogScenario = {
  name: 'truncate',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    await actor.append({ count: 9, valueBytes: 150, epoch: 2 })
    await actor.append({ count: 3, valueBytes: 150 })
    await actor.append({ count: 3, valueBytes: 150, epoch: 4 })
    await actor.sync()
    await actor.checkpoint(5)
    await actor.truncate(13)
    await actor.append({ count: 2, valueBytes: 90, epoch: 5 })
    await actor.truncate(7)
    await actor.append({ count: 4, valueBytes: 120, epoch: 6 })
    await actor.sync()
    await actor.truncate(2)
  },
}

const retention: LogScenario = {
  name: 'retention',
  options: { retention: { maxMessages: 6 } },
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim, retention.options)
    for (const epoch of [1, 1, 2, 2, 3]) await actor.append({ count: 3, valueBytes: 200, epoch })
    await actor.sync()
    await actor.checkpoint(10)
    await actor.retain(6)
    await actor.append({ count: 3, valueBytes: 200 })
    await actor.checkpoint(15)
    await actor.retain(6)
    await actor.sync()
  },
}

const compaction: LogScenario = {
  name: 'compaction',
  options: { compact: true },
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim, compaction.options)
    for (const key of ['a', 'b', 'a', undefined, 'd', 'a']) {
      const plan = { count: 2, valueBytes: 150 }
      await actor.append(key === undefined ? plan : { ...plan, key })
    }
    await actor.sync()
    await actor.checkpoint(9)
    await actor.compact()
    await actor.append({ count: 3, key: 'c', valueBytes: 250 })
    await actor.append({ count: 1, key: 'd' })
    await actor.checkpoint(15)
    await actor.compact()
    await actor.sync()
  },
}

const closeAndOpen: LogScenario = {
  name: 'close and open again',
  run: async (disk, claim) => {
    const actor = await LogActor.open(disk, claim)
    await actor.append({ count: 4, valueBytes: 200 })
    await actor.checkpoint(2)
    await actor.close()
    await openLog(disk)
  },
}

/** A mark of a clean end must not make recovery skip a truncation that was cut short. */
const truncateAfterCleanEnd: LogScenario = {
  name: 'truncation after a clean end [Redpanda #9711]',
  run: async (disk, claim) => {
    const first = await LogActor.open(disk, claim)
    await first.append({ count: 8, valueBytes: 150, epoch: 3 })
    await first.append({ count: 2, valueBytes: 150, epoch: 4 })
    await first.append({ count: 2, valueBytes: 150 })
    await first.checkpoint(1)
    await first.close()
    const second = await first.reopen(disk)
    await second.truncate(9)
    await second.append({ count: 1, epoch: 5 })
    await second.sync()
  },
}

export const LOG_SCENARIOS: readonly LogScenario[] = [
  appendAndSync,
  roll,
  leaderEpochs,
  checkpoint,
  truncate,
  retention,
  compaction,
  closeAndOpen,
  truncateAfterCleanEnd,
]
