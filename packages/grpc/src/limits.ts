/** Every bound of the server side, with its reason. All of them can be set. */
export interface GrpcLimits {
  /** Largest request message, checked at its prefix and again after inflating. */
  readonly maxMessageBytes: number
  readonly maxHeaderListBytes: number
  readonly maxConcurrentStreams: number
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  readonly maxFrameBytes: number
  readonly queueMaxBytes: number
  readonly maxBufferedBytes: number
  readonly sessionMemoryMegabytes: number
  readonly handshakeTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly connectionAgeMaxMs: number
  readonly connectionAgeGraceMs: number
  readonly keepaliveIntervalMs: number
  readonly keepaliveTimeoutMs: number
  readonly lingerMs: number
  readonly resetBurst: number
  readonly resetsPerSecond: number
  readonly pingBurst: number
  readonly pingsPerSecond: number
  readonly settingsBurst: number
  readonly settingsPerSecond: number
  readonly overheadBurstBytes: number
  readonly overheadBytesPerSecond: number
  readonly sweepIntervalMs: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const DEFAULT_LIMITS: GrpcLimits = {
  // Go's default; clients know the number from its error text [LB clients 2.0.21].
  maxMessageBytes: 4 * MIB,
  // No client of this protocol comes near; a larger list is an attack [reliability 3e].
  maxHeaderListBytes: 16 * KIB,
  // Ten times the usual 100: a Go client puts all its Subscribe calls, which live for days, on
  // one connection, and a call beyond the cap would wait there without a word. A stream costs a
  // few KiB; what all of them may buffer is bounded by maxBufferedBytes.
  maxConcurrentStreams: 1000,
  // Well below the 1,024 descriptors a log server shares with its files is left to the operator;
  // this only stops one flood from taking every descriptor of a usual 64 k allowance.
  maxConnections: 4096,
  // Clients behind one gateway share an address, so this cannot be small.
  maxConnectionsPerAddress: 1024,
  // Half a MiB in flight fills 10 MB/s per call at 50 ms of round trip; it is also what a paused
  // call may still receive, so it multiplies with the number of slow handlers.
  streamWindowBytes: 512 * KIB,
  // Never the bottleneck: node:http2 gives this window back as data arrives, not when consumed.
  connectionWindowBytes: 16 * MIB,
  // Fewer frame borders, fewer messages cut in two; peers may send smaller frames.
  maxFrameBytes: 64 * KIB,
  // A handler works on one chunk of at most 64 KiB while the next ones wait.
  queueMaxBytes: 256 * KIB,
  // Of all calls together; part of the promise of 250 MiB of memory under load.
  maxBufferedBytes: 96 * MIB,
  // Counts queued responses of all calls of a connection; 10 would refuse calls of a client with
  // a few hundred subscriptions that are behind at the same time.
  sessionMemoryMegabytes: 64,
  handshakeTimeoutMs: 10_000,
  // From the headers of a call with one request message to the end of that message.
  requestTimeoutMs: 30_000,
  // Only connections without a call are idle: a Subscribe may be silent for days.
  idleTimeoutMs: 300_000,
  // After an hour, give or take a tenth, a connection takes no new calls (GOAWAY): its client opens
  // another, so load spreads again over servers, and nothing gathers on one for ever
  // [reliability 3e].
  connectionAgeMaxMs: 3_600_000,
  // Its calls go on: a Subscribe lives for days, and to end it every hour would cost each reader a
  // new search for the leader. A dead peer is found by keepalive all the same.
  connectionAgeGraceMs: Infinity,
  // A dead peer with open calls is found by our own PING after this much silence.
  keepaliveIntervalMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  // A call that is over may wait this long for its peer to take the last bytes.
  lingerMs: 10_000,
  // One whole connection's worth of subscriptions may be cancelled at once, then the rate rules.
  resetBurst: 1000,
  resetsPerSecond: 100,
  // grpc-go measures the bandwidth with one PING per round trip while it receives, thousands a
  // second on a fast network, so only what no measuring client sends is cut.
  pingBurst: 10_000,
  pingsPerSecond: 2000,
  settingsBurst: 100,
  settingsPerSecond: 2,
  // Bytes of frames that carry neither messages, calls nor answers: empty DATA, WINDOW_UPDATE,
  // PRIORITY. See session-guard.ts for what counts as progress.
  overheadBurstBytes: 256 * KIB,
  overheadBytesPerSecond: 16 * KIB,
  // How often time limits are looked at: one timer for all connections and calls.
  sweepIntervalMs: 1000,
}
