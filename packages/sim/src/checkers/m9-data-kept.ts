/**
 * M9: the files of a stream that nobody has asked to delete stay on the disk, whatever the metadata
 * says or lacks; they may be set aside.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { DATA_DIR, type Machine } from '../cluster/machine.ts'
import { Violation, type Checker } from './checker.ts'

/** Directories are listed after so many looks. */
const LOOKS_BETWEEN = 40
const STREAMS = `${DATA_DIR}/streams`

export function dataKept(cluster: Cluster): Checker {
  const kept = new DataKept((stream) => cluster.history.deletionsOf(stream) > 0)
  const look = (machine: Machine): void => kept.see(machine.name, machine.disk.files(STREAMS))
  cluster.watchers.push({
    onMetadataLost() {
      for (const machine of cluster.machines) look(machine)
    },
    onDown(machine, how) {
      // Names that were not synced may go with the power, a disk with all that was on it.
      if (how !== 'kill') kept.forget(machine.name)
    },
  })
  let looks = 0
  return {
    onStep() {
      if (++looks % LOOKS_BETWEEN === 0) for (const machine of cluster.machines) look(machine)
    },
    atEnd() {
      for (const machine of cluster.machines) look(machine)
    },
  }
}

export class DataKept {
  readonly #wasDeleted: (stream: string) => boolean
  /** By server: streams that had a log file. */
  readonly #streams = new Map<string, Set<string>>()

  constructor(wasDeleted: (stream: string) => boolean) {
    this.#wasDeleted = wasDeleted
  }

  /** `files` are all paths below the directory of the streams. */
  see(server: string, files: readonly string[]): void {
    const before = this.#streams.get(server)
    const now = new Set<string>()
    for (const path of files) if (path.endsWith('.log')) now.add(streamOf(path))
    for (const stream of before ?? []) {
      if (now.has(stream) || this.#wasDeleted(stream)) continue
      throw new Violation('M9', `the data of ${stream} is gone from ${server}; nobody deleted it`)
    }
    this.#streams.set(server, now)
  }

  /** The server's disk may have lost names. */
  forget(server: string): void {
    this.#streams.delete(server)
  }
}

/** Of a partition's file where it belongs, or set aside as `<folder>/<stream>@<incarnation>`. */
function streamOf(path: string): string {
  const [first = '', second = ''] = path.slice(STREAMS.length + 1).split('/')
  return first.startsWith('.') ? second.replace(/@\d+(-\d+)?$/, '') : first
}
