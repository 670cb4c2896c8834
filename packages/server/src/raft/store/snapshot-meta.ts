import { crc32c } from '@liftbridge/log'
import type { SnapshotPosition } from '@liftbridge/raft'
import { crc64 } from './crc64.ts'
import { parseJson } from './stored-entry.ts'
import { field, fromStored, toStored } from './stored-configuration.ts'

/**
 * `meta.json` of a snapshot, as the original writes it: one JSON object and a newline [LB 2.1].
 * `CRC` is the CRC-64 of `state.bin`, eight bytes in base64. `Peers` is for versions of the
 * original that know no configurations; `Configuration` says the same and more.
 */
export interface SnapshotMeta {
  /** Name of the snapshot's directory. */
  readonly id: string
  readonly position: SnapshotPosition
  readonly sizeBytes: number
  readonly crc: string
}

const VERSION = 1

/** `<term>-<index>-<milliseconds since 1970>`. */
const ID_SYNTAX = /^(\d{1,16})-(\d{1,16})-(\d{1,16})$/

export const snapshotId = (
  position: { readonly term: number; readonly index: number },
  wallMs: number,
): string => `${position.term}-${position.index}-${wallMs}`

/** What a directory's name says; undefined when it is not the name of a snapshot. */
export const parseSnapshotId = (
  id: string,
): { readonly term: number; readonly index: number; readonly wallMs: number } | undefined => {
  const match = ID_SYNTAX.exec(id)
  if (match === null) return undefined
  const [term = 0, index = 0, wallMs = 0] = match.slice(1).map(Number)
  const isSafe = [term, index, wallMs].every((number) => Number.isSafeInteger(number))
  return isSafe ? { term, index, wallMs } : undefined
}

export const crcOf = (state: Uint8Array): string => Buffer.from(crc64(state)).toString('base64')

export const encodeMeta = ({ id, position, sizeBytes, crc }: SnapshotMeta): Uint8Array => {
  const meta = {
    Version: VERSION,
    ID: id,
    Index: position.index,
    Term: position.term,
    Peers: null,
    Configuration: toStored(position.configuration),
    ConfigurationIndex: position.configurationIndex,
    Size: sizeBytes,
    CRC: crc,
  }
  return new TextEncoder().encode(`${JSON.stringify({ ...meta, Seal: sealOf(meta) })}\n`)
}

/** Over the text that JSON makes of it, which is the same for what was parsed from that text. */
const sealOf = (meta: object): string => {
  const bytes = new TextEncoder().encode(JSON.stringify(meta))
  return crc32c(bytes).toString(16).padStart(8, '0')
}

/** Parsed JSON without its seal; undefined when that is missing or does not fit. */
const unseal = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return undefined
  const { Seal: seal, ...meta }: { readonly Seal?: unknown } = value
  return seal === sealOf(meta) ? meta : undefined
}

/** Undefined when it is not one, or of a version that is not known. */
export const decodeMeta = (bytes: Uint8Array): SnapshotMeta | undefined => {
  const meta = unseal(parseJson(bytes))
  const configuration = fromStored(field(meta, 'Configuration'))
  const id = field(meta, 'ID')
  const crc = field(meta, 'CRC')
  const index = count(meta, 'Index')
  const term = count(meta, 'Term')
  const configurationIndex = count(meta, 'ConfigurationIndex')
  const sizeBytes = count(meta, 'Size')
  if (field(meta, 'Version') !== VERSION || configuration === undefined) return undefined
  if (typeof id !== 'string' || typeof crc !== 'string') return undefined
  if (index === undefined || term === undefined) return undefined
  if (configurationIndex === undefined || sizeBytes === undefined) return undefined
  return { id, position: { index, term, configuration, configurationIndex }, sizeBytes, crc }
}

const count = (meta: unknown, name: string): number | undefined => {
  const value = field(meta, name)
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
