import { arrayOf, boolean, bytes, signed, struct, textBytes, unsigned } from '../msgpack/codec.ts'
import type { Codec, Field } from '../msgpack/codec.ts'
import type { MsgpackReader } from '../msgpack/reader.ts'
import type { MsgpackWriter } from '../msgpack/writer.ts'
import { WireError } from '../wire-error.ts'
import {
  encodeConfiguration,
  encodePeers,
  logEntry,
  readConfiguration,
  readPeers,
} from './log-entry.ts'
import {
  isHeartbeat,
  Suffrage,
  type AppendEntriesRequest,
  type AppendEntriesResponse,
  type InstallSnapshotRequest,
  type InstallSnapshotResponse,
  type LogEntry,
  type RaftConfiguration,
  type RaftHeader,
  type RaftRequest,
  type RaftResponse,
  type RaftRpcKind,
  type RequestPreVoteRequest,
  type RequestPreVoteResponse,
  type RequestVoteRequest,
  type RequestVoteResponse,
} from './rpc.ts'

/** The type byte before each request. */
export const RPC_TYPES: Readonly<Record<RaftRpcKind, number>> = {
  'append-entries': 0,
  'request-vote': 1,
  'install-snapshot': 2,
  'timeout-now': 3,
  'request-pre-vote': 4,
}

/** Go leaders send at most 64 entries at a time. */
const ENTRIES_MAX = 4096

const NO_HEADER: RaftHeader = { protocolVersion: 0, id: '', address: '' }

type HeaderFields = { readonly [Name in keyof RaftHeader]: Field<RaftHeader[Name]> }

/** What Go embeds in each message: its fields stand among the others. Declared first, everywhere. */
const header: HeaderFields = {
  protocolVersion: ['ProtocolVersion', signed],
  id: ['ID', textBytes],
  address: ['Addr', textBytes],
}

type Body<Message> = Omit<Message, 'kind'>
/** `sender` repeats the address of the header, for versions that had no header. */
type Sent<Message> = RaftHeader & Body<Message> & { readonly sender: string }

const entries: Codec<readonly LogEntry[]> = arrayOf(logEntry, ENTRIES_MAX)

/** Go sends a nil slice in heartbeats, an empty one elsewhere. */
const noEntries: Codec<readonly LogEntry[]> = { ...entries, write: (writer) => writer.nil() }

const appendEntriesWith = (slice: Codec<readonly LogEntry[]>): Codec<Sent<AppendEntriesRequest>> =>
  struct<Sent<AppendEntriesRequest>>({
    ...header,
    term: ['Term', unsigned],
    sender: ['Leader', textBytes],
    prevLogIndex: ['PrevLogEntry', unsigned],
    prevLogTerm: ['PrevLogTerm', unsigned],
    entries: ['Entries', slice],
    leaderCommitIndex: ['LeaderCommitIndex', unsigned],
  })

const appendEntries = appendEntriesWith(entries)
const heartbeat = appendEntriesWith(noEntries)

const requestVote = struct<Sent<RequestVoteRequest>>({
  ...header,
  term: ['Term', unsigned],
  sender: ['Candidate', textBytes],
  lastLogIndex: ['LastLogIndex', unsigned],
  lastLogTerm: ['LastLogTerm', unsigned],
  leadershipTransfer: ['LeadershipTransfer', boolean],
})

const requestPreVote = struct<RaftHeader & Body<RequestPreVoteRequest>>({
  ...header,
  term: ['Term', unsigned],
  lastLogIndex: ['LastLogIndex', unsigned],
  lastLogTerm: ['LastLogTerm', unsigned],
})

type SnapshotOnWire = Omit<Sent<InstallSnapshotRequest>, 'configuration'> & {
  readonly peers: Uint8Array
  readonly configuration: Uint8Array
}

const installSnapshot = struct<SnapshotOnWire>({
  ...header,
  snapshotVersion: ['SnapshotVersion', signed],
  term: ['Term', unsigned],
  sender: ['Leader', textBytes],
  lastLogIndex: ['LastLogIndex', unsigned],
  lastLogTerm: ['LastLogTerm', unsigned],
  peers: ['Peers', bytes],
  configuration: ['Configuration', bytes],
  configurationIndex: ['ConfigurationIndex', unsigned],
  size: ['Size', signed],
})

const timeoutNow = struct<RaftHeader>(header)

/** Writes a request without its type byte. */
export function writeRequest(writer: MsgpackWriter, request: RaftRequest, from: RaftHeader): void {
  const sender = from.address
  switch (request.kind) {
    case 'append-entries': {
      const codec = isHeartbeat(request, from) ? heartbeat : appendEntries
      return codec.write(writer, { ...request, ...from, sender })
    }
    case 'request-vote':
      return requestVote.write(writer, { ...request, ...from, sender })
    case 'request-pre-vote':
      return requestPreVote.write(writer, { ...request, ...from })
    case 'install-snapshot': {
      const voters = request.configuration.servers.filter(
        ({ suffrage }) => suffrage === Suffrage.Voter,
      )
      return installSnapshot.write(writer, {
        ...request,
        ...from,
        sender,
        peers: encodePeers(voters.map(({ address }) => address)),
        configuration: encodeConfiguration(request.configuration),
      })
    }
    case 'timeout-now':
      return timeoutNow.write(writer, from)
    default:
      return request satisfies never
  }
}

export type ReceivedRequest = { readonly header: RaftHeader; readonly request: RaftRequest }

/** Reads a request of a kind that its type byte told. Throws WireError. */
export function readRequest(reader: MsgpackReader, kind: RaftRpcKind): ReceivedRequest {
  switch (kind) {
    case 'append-entries':
      return received(kind, appendEntries.read(reader))
    case 'request-vote':
      return received(kind, requestVote.read(reader))
    case 'request-pre-vote':
      return received(kind, { ...requestPreVote.read(reader), sender: '' })
    case 'install-snapshot': {
      const { peers, ...rest } = installSnapshot.read(reader)
      if (rest.size < 0) throw new WireError('malformed', 'a snapshot of negative size')
      const configuration = configurationOf(rest.snapshotVersion, rest.configuration, peers)
      return received(kind, { ...rest, configuration })
    }
    case 'timeout-now':
      return received(kind, { ...timeoutNow.read(reader), sender: '' })
    default:
      return kind satisfies never
  }
}

/** Parts the header from the body. The address of old versions stands in the body. */
function received<Kind extends RaftRpcKind>(
  kind: Kind,
  message: Omit<Sent<Extract<RaftRequest, { readonly kind: Kind }>>, 'kind'>,
): ReceivedRequest {
  const { protocolVersion, id, address, sender, ...body } = message
  return {
    header: { protocolVersion, id, address: address === '' ? sender : address },
    // What is left of the message after the header and `sender` is the body of this kind.
    request: { kind, ...body } as unknown as RaftRequest,
  }
}

function configurationOf(
  version: number,
  configuration: Uint8Array,
  peers: Uint8Array,
): RaftConfiguration {
  if (version !== 0) return readConfiguration(configuration)
  const servers = readPeers(peers).map((address) => ({
    suffrage: Suffrage.Voter,
    id: address,
    address,
  }))
  return { servers }
}

const appendEntriesResponse = struct<RaftHeader & Body<AppendEntriesResponse>>({
  ...header,
  term: ['Term', unsigned],
  lastLogIndex: ['LastLog', unsigned],
  success: ['Success', boolean],
  noRetryBackoff: ['NoRetryBackoff', boolean],
})

/** `Peers` was for protocol version 0; Go still writes the nil. */
const requestVoteResponse = struct<
  RaftHeader & Body<RequestVoteResponse> & { readonly peers: Uint8Array }
>({
  ...header,
  term: ['Term', unsigned],
  peers: ['Peers', bytes],
  granted: ['Granted', boolean],
})

const requestPreVoteResponse = struct<RaftHeader & Body<RequestPreVoteResponse>>({
  ...header,
  term: ['Term', unsigned],
  granted: ['Granted', boolean],
})

const installSnapshotResponse = struct<RaftHeader & Body<InstallSnapshotResponse>>({
  ...header,
  term: ['Term', unsigned],
  success: ['Success', boolean],
})

/** Writes a response. Two kinds go without header in hashicorp/raft: theirs is zero. */
export function writeResponse(
  writer: MsgpackWriter,
  response: RaftResponse,
  from: RaftHeader,
): void {
  switch (response.kind) {
    case 'append-entries':
      return appendEntriesResponse.write(writer, { ...response, ...from })
    case 'request-vote':
      return requestVoteResponse.write(writer, { ...response, ...from, peers: bytes.zero })
    case 'request-pre-vote':
      return requestPreVoteResponse.write(writer, { ...response, ...from })
    case 'install-snapshot':
      return installSnapshotResponse.write(writer, { ...response, ...NO_HEADER })
    case 'timeout-now':
      return timeoutNow.write(writer, NO_HEADER)
    default:
      return response satisfies never
  }
}

/** Reads the response to a request of this kind; its header tells nothing. Throws WireError. */
export function readResponse(reader: MsgpackReader, kind: RaftRpcKind): RaftResponse {
  switch (kind) {
    case 'append-entries': {
      const { term, lastLogIndex, success, noRetryBackoff } = appendEntriesResponse.read(reader)
      return { kind, term, lastLogIndex, success, noRetryBackoff }
    }
    case 'request-vote': {
      const { term, granted } = requestVoteResponse.read(reader)
      return { kind, term, granted }
    }
    case 'request-pre-vote': {
      const { term, granted } = requestPreVoteResponse.read(reader)
      return { kind, term, granted }
    }
    case 'install-snapshot': {
      const { term, success } = installSnapshotResponse.read(reader)
      return { kind, term, success }
    }
    case 'timeout-now':
      timeoutNow.read(reader)
      return { kind }
    default:
      return kind satisfies never
  }
}
