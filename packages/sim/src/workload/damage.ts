/** Damage at rest: what a failing drive does to files while nobody looks. */
import type { Machine } from '../cluster/machine.ts'
import type { SimDisk } from '../disk.ts'
import type { DamagedFile, FaultAction } from './plan.ts'

const NAMES: Readonly<Record<DamagedFile, RegExp>> = {
  log: /\/streams\/[^.].*\/\d{20}\.log$/,
  index: /\/streams\/.*\.index$/,
  epochs: /\/streams\/.*\/leader-epoch-checkpoint$/,
  checkpoint: /\/streams\/.*\/replication-offset-checkpoint$/,
  snapshot: /\/raft\/snapshots\/.*$/,
}

type Damage = Extract<FaultAction, { kind: 'damage' }>

export function damage(machine: Machine, { file, how }: Damage): void {
  if (machine.up) machine.kill()
  const { disk } = machine
  for (const path of disk.files().filter((one) => NAMES[file].test(one))) hit(disk, path, how)
}

function hit(disk: SimDisk, path: string, how: Damage['how']): void {
  const content = disk.content(path)
  switch (how) {
    case 'flip-bit':
      if (content.length > 0) disk.flipBit(path, Math.floor(content.length / 2), 3)
      return
    case 'zeros-behind':
      disk.overwrite(path, Buffer.concat([content, new Uint8Array(3_000)]))
      return
    case 'garbage':
      disk.overwrite(
        path,
        Uint8Array.from(content, (byte, at) => (byte * 31 + at * 7 + 13) % 256),
      )
      return
    case 'empty':
      disk.overwrite(path, new Uint8Array(0))
      return
    case 'remove':
      disk.lose(path)
      return
    default:
      how satisfies never
  }
}
