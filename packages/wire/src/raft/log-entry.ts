import { arrayOf, bytes, signed, struct, text, textBytes, unsigned } from '../msgpack/codec.ts'
import type { Codec } from '../msgpack/codec.ts'
import { MsgpackReader } from '../msgpack/reader.ts'
import { time } from '../msgpack/time.ts'
import { MsgpackWriter } from '../msgpack/writer.ts'
import { decodedBy, WireError, type Decoded } from '../wire-error.ts'
import type { LogEntry, RaftConfiguration, RaftMember } from './rpc.ts'

/** Servers of one cluster; a configuration is read before anybody knows who sent it. */
const MEMBERS_MAX = 1024

export const logEntry: Codec<LogEntry> = struct<LogEntry>({
  index: ['Index', unsigned],
  term: ['Term', unsigned],
  type: ['Type', unsigned],
  data: ['Data', bytes],
  extensions: ['Extensions', bytes],
  appendedAtNs: ['AppendedAt', time],
})

const member: Codec<RaftMember> = struct<RaftMember>({
  suffrage: ['Suffrage', signed],
  id: ['ID', text],
  address: ['Address', text],
})

const configuration: Codec<RaftConfiguration> = struct<RaftConfiguration>({
  servers: ['Servers', arrayOf(member, MEMBERS_MAX)],
})

const addresses: Codec<readonly string[]> = arrayOf(textBytes, MEMBERS_MAX)

/** A log entry as hashicorp/raft writes it, on the wire and in its store. */
export function encodeLogEntry(entry: LogEntry): Uint8Array<ArrayBuffer> {
  return encoded(logEntry, entry)
}

/** `data` and `extensions` are views of `value`. */
export function decodeLogEntry(value: Uint8Array): Decoded<LogEntry> {
  return decodedBy(() => decodeWhole(logEntry, value))
}

/** The data of an entry of type Configuration. */
export function encodeConfiguration(value: RaftConfiguration): Uint8Array<ArrayBuffer> {
  return encoded(configuration, value)
}

export function decodeConfiguration(value: Uint8Array): Decoded<RaftConfiguration> {
  return decodedBy(() => readConfiguration(value))
}

/** Throws WireError. */
export function readConfiguration(value: Uint8Array): RaftConfiguration {
  return decodeWhole(configuration, value)
}

/** Addresses of the voters, for servers that know no configurations. */
export function encodePeers(value: readonly string[]): Uint8Array<ArrayBuffer> {
  return encoded(addresses, value)
}

/** Throws WireError. */
export function readPeers(value: Uint8Array): readonly string[] {
  return decodeWhole(addresses, value)
}

function encoded<Value>(codec: Codec<Value>, value: Value): Uint8Array<ArrayBuffer> {
  const writer = new MsgpackWriter()
  codec.write(writer, value)
  return writer.finish()
}

/** Reads one value that takes up all of `value`; throws WireError. */
function decodeWhole<Value>(codec: Codec<Value>, value: Uint8Array): Value {
  const reader = new MsgpackReader(value)
  const read = codec.read(reader)
  if (reader.remaining > 0) throw new WireError('malformed', 'bytes behind the value')
  return read
}
