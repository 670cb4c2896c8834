/**
 * M5, M7: servers that have applied the same have the same metadata. M8: what was acknowledged of
 * the metadata is not forgotten.
 */
import { createHash } from 'node:crypto'
import type { MetadataView } from '@liftbridge/metadata'
import type { Cluster } from '../cluster/cluster.ts'
import type { MetadataCall } from '../workload/history.ts'
import { Violation, type Checker, type FinalState } from './checker.ts'

export function metadataAgrees(cluster: Cluster): Checker {
  const digests = new Map<number, { readonly digest: string; readonly server: string }>()
  const looked = new Map<string, { readonly state: MetadataView; readonly index: number }>()
  cluster.watchers.push({
    onMetadataLost() {
      digests.clear()
      looked.clear()
    },
  })
  return {
    onStep() {
      for (const { name, core } of cluster.machines) {
        const state = core?.context?.metadata.state
        if (state === undefined) continue
        const { appliedIndex } = state
        const before = looked.get(name)
        if (before?.state === state && before.index === appliedIndex) continue
        looked.set(name, { state, index: appliedIndex })
        const digest = digestOf(state)
        const known = digests.get(appliedIndex)
        if (known === undefined) digests.set(appliedIndex, { digest, server: name })
        else if (known.digest !== digest) {
          throw new Violation(
            'M7',
            `${known.server} and ${name} differ after index ${appliedIndex}`,
          )
        }
      }
    },
    atEnd: (final) => {
      if (!cluster.history.metadataLost) checkKept(cluster, final)
    },
  }
}

function digestOf({ streams, groups }: MetadataView): string {
  const sorted = [...streams.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const text = JSON.stringify([sorted, [...groups.values()]], (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
  return createHash('sha1').update(text).digest('base64')
}

function checkKept(cluster: Cluster, { partitions }: FinalState): void {
  const present = new Set(partitions.map(({ stream }) => stream))
  const calls = new Map<string, MetadataCall[]>()
  for (const call of cluster.history.metadataCalls) {
    if (call.kind !== 'create' && call.kind !== 'delete') continue
    const own = calls.get(call.stream) ?? []
    own.push(call)
    calls.set(call.stream, own)
  }
  for (const [stream, own] of calls) {
    const last = (kind: MetadataCall['kind']): number =>
      Math.max(
        -1,
        ...own
          .filter((call) => call.kind === kind && call.outcome === 'ok')
          .map(({ endedUs }) => endedUs),
      )
    // Whatever is not known to be over before the last acknowledged change may have come after it.
    const isLast = (kind: MetadataCall['kind'], us: number): boolean =>
      own.every(
        (call) =>
          call.kind === kind ||
          call.outcome === 'refused' ||
          (call.outcome === 'ok' && call.endedUs < us),
      )
    const [created, deleted] = [last('create'), last('delete')]
    if (
      created > deleted &&
      isLast('create', firstBegun(own, 'create', created)) &&
      !present.has(stream)
    ) {
      throw new Violation('M8', `${stream} was created and is not there`)
    }
    if (
      deleted > created &&
      isLast('delete', firstBegun(own, 'delete', deleted)) &&
      present.has(stream)
    ) {
      throw new Violation('M8', `${stream} was deleted and is there`)
    }
  }
}

/** When the call that ended at `endedUs` began. */
function firstBegun(
  calls: readonly MetadataCall[],
  kind: MetadataCall['kind'],
  endedUs: number,
): number {
  return calls.find((call) => call.kind === kind && call.endedUs === endedUs)?.invokedUs ?? -1
}
