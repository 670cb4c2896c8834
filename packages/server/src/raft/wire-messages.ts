/** The core's requests and answers in the words of the wire, and back. */
import type {
  Entry,
  InstallSnapshotRequest,
  Request,
  Response,
  ServerId,
  Suffrage,
} from '@liftbridge/raft'
import type * as raft from '@liftbridge/raft'
import {
  decodeConfiguration,
  encodeConfiguration,
  isHeartbeat,
  LogType,
  RAFT_PROTOCOL_VERSION,
  type LogEntry,
  type RaftConfiguration,
  type RaftRequest,
  type RaftResponse,
} from '@liftbridge/wire'

const SUFFRAGES: readonly Suffrage[] = ['voter', 'non-voter', 'staging']
const NOTHING = new Uint8Array(0)
const SNAPSHOT_VERSION = 1

/** `stateBytes` is the size of the snapshot's bytes, for a request that installs one. */
export const toWireRequest = (request: Request, stateBytes: number): RaftRequest => {
  switch (request.kind) {
    case 'heartbeat':
      return {
        kind: 'append-entries',
        term: request.term,
        prevLogIndex: 0,
        prevLogTerm: 0,
        entries: [],
        leaderCommitIndex: 0,
      }
    case 'append-entries':
      return {
        kind: 'append-entries',
        term: request.term,
        prevLogIndex: request.previousIndex,
        prevLogTerm: request.previousTerm,
        entries: request.entries.map(toWireEntry),
        leaderCommitIndex: request.commitIndex,
      }
    case 'request-vote':
    case 'request-pre-vote': {
      const { lastIndex: lastLogIndex, lastTerm: lastLogTerm, ...rest } = request
      return { ...rest, lastLogIndex, lastLogTerm }
    }
    case 'install-snapshot':
      return toWireInstall(request, stateBytes)
    case 'timeout-now':
      return request
  }
}

const toWireInstall = (request: InstallSnapshotRequest, size: number): RaftRequest => {
  const { index, term, configuration, configurationIndex } = request.snapshot
  return {
    kind: 'install-snapshot',
    snapshotVersion: SNAPSHOT_VERSION,
    term: request.term,
    lastLogIndex: index,
    lastLogTerm: term,
    configuration: toWireConfiguration(configuration),
    configurationIndex,
    size,
  }
}

/** What a peer asks; a text says why it cannot be understood. */
export const fromWireRequest = (from: ServerId, request: RaftRequest): Request | string => {
  switch (request.kind) {
    case 'append-entries':
      return fromWireAppend(from, request)
    case 'request-vote':
    case 'request-pre-vote': {
      const { lastLogIndex: lastIndex, lastLogTerm: lastTerm, ...rest } = request
      return { ...rest, lastIndex, lastTerm }
    }
    case 'install-snapshot': {
      const { term, lastLogIndex: index, lastLogTerm, configurationIndex } = request
      const configuration = fromWireConfiguration(request.configuration)
      if (configuration === undefined) return 'a configuration with an unknown suffrage'
      const snapshot = { index, term: lastLogTerm, configuration, configurationIndex }
      return { kind: 'install-snapshot', term, leader: from, snapshot }
    }
    case 'timeout-now':
      return request
  }
}

const fromWireAppend = (
  from: ServerId,
  request: Extract<RaftRequest, { kind: 'append-entries' }>,
): Request | string => {
  const { term } = request
  const header = { protocolVersion: RAFT_PROTOCOL_VERSION, id: from, address: from }
  if (isHeartbeat(request, header)) return { kind: 'heartbeat', term, leader: from }
  const entries: Entry[] = []
  for (const wireEntry of request.entries) {
    const entry = fromWireEntry(wireEntry)
    if (entry === undefined)
      return `entry ${wireEntry.index} has the unknown type ${wireEntry.type}`
    entries.push(entry)
  }
  return {
    kind: 'append-entries',
    term,
    leader: from,
    previousIndex: request.prevLogIndex,
    previousTerm: request.prevLogTerm,
    entries,
    commitIndex: request.leaderCommitIndex,
  }
}

export const toWireResponse = (response: Response): RaftResponse => {
  if (response.kind !== 'append-entries') return response
  const { lastIndex: lastLogIndex, ...rest } = response
  return { ...rest, lastLogIndex }
}

export const fromWireResponse = (response: RaftResponse): Response => {
  if (response.kind !== 'append-entries') return response
  const { lastLogIndex: lastIndex, ...rest } = response
  return { ...rest, lastIndex }
}

const toWireEntry = (entry: Entry): LogEntry => {
  const { index, term, appendedAtNs } = entry
  const position = { index, term, extensions: NOTHING, appendedAtNs }
  switch (entry.kind) {
    case 'command':
      return { ...position, type: LogType.Command, data: entry.data }
    case 'noop':
      return { ...position, type: LogType.Noop, data: NOTHING }
    case 'barrier':
      return { ...position, type: LogType.Barrier, data: NOTHING }
    case 'configuration': {
      const data = encodeConfiguration(toWireConfiguration(entry.configuration))
      return { ...position, type: LogType.Configuration, data }
    }
  }
}

const fromWireEntry = (entry: LogEntry): Entry | undefined => {
  const { index, term, appendedAtNs } = entry
  const position = appendedAtNs === undefined ? { index, term } : { index, term, appendedAtNs }
  switch (entry.type) {
    case LogType.Command:
      // The core keeps it; a view would keep the whole request in memory.
      return { kind: 'command', ...position, data: entry.data.slice() }
    case LogType.Noop:
      return { kind: 'noop', ...position }
    case LogType.Barrier:
      return { kind: 'barrier', ...position }
    case LogType.Configuration: {
      const decoded = decodeConfiguration(entry.data)
      if (decoded.kind === 'rejected') return undefined
      const configuration = fromWireConfiguration(decoded.message)
      return configuration && { kind: 'configuration', ...position, configuration }
    }
    default:
      return undefined
  }
}

const toWireConfiguration = ({ servers }: raft.Configuration): RaftConfiguration => ({
  servers: servers.map(({ id, address, suffrage }) => {
    return { id, address, suffrage: SUFFRAGES.indexOf(suffrage) }
  }),
})

const fromWireConfiguration = ({ servers }: RaftConfiguration): raft.Configuration | undefined => {
  const members: raft.Member[] = []
  for (const { id, address, suffrage: number } of servers) {
    const suffrage = SUFFRAGES[number]
    if (suffrage === undefined) return undefined
    members.push({ id, address, suffrage })
  }
  return { servers: members }
}
