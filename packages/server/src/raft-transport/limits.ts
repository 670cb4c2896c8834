/**
 * Bounds and times of the Raft transport. Sizes are bytes, times milliseconds. Those marked [Go] are
 * hashicorp/raft's and its NATS transport's, and a peer relies on them [LB control plane 2.3, 2.4].
 */

/** Dialing: the flush of the own inbox, and the answer to the request, each [Go]. */
export const DIAL_MS = 2_000

/** Waiting for the response to one request, from when it is the next one to be answered [Go]. */
export const RPC_MS = 2_000

/** The response to a snapshot is waited for once this time for each so many bytes of it [Go]. */
export const SNAPSHOT_MS_PER_STEP = 2_000
export const SNAPSHOT_STEP_BYTES: number = 256 * 1024

/** AppendEntries under way on one stream [Go]. */
export const APPENDS_IN_FLIGHT = 2

/** Streams to a peer that are kept for calls to come, beside those of heartbeats and entries [Go]. */
export const IDLE_STREAMS_PER_PEER = 3

/** Calls to one peer that wait for their turn; a leader that sends more is not reading answers. */
export const WAITING_CALLS_PER_PEER = 64

/**
 * Bytes that have arrived on a stream and wait for their reader. Beyond this it ends: the sender
 * neither waits for answers nor heeds the window [D-54]. A Go leader does so with snapshots, whose
 * size must stay below.
 */
export const STREAM_BUFFER_BYTES: number = 64 * 1024 * 1024

/** The same of all streams together: what keeps the process within its memory [B1]. */
export const STREAMS_BUFFER_BYTES: number = 2 * STREAM_BUFFER_BYTES

/** Between servers of ours no more than this is under way on a stream and unread [D-54]. */
export const STREAM_WINDOW_BYTES: number = 4 * 1024 * 1024

/** The reader tells that it has read on after each so many bytes: a quarter of the window. */
export const STREAM_CREDIT_BYTES: number = STREAM_WINDOW_BYTES / 4

/**
 * A peer that was killed said nothing, and its streams would swallow requests until they time out.
 * So the first request after a silence asks NATS whether anybody listens to its stream. Longer than
 * the pause between two heartbeats, which would all be requests that nobody answers; one that gets
 * no response has the question asked a quarter of a second later.
 */
export const PROBE_QUIET_MS = 300

/** While an answer is awaited, NATS is asked again so often, which only streams of ours allow. */
export const PROBE_EVERY_MS = 250

/** NATS says at once that nobody listens; nobody else answers, and that is no failure. */
export const PROBE_MS = 1_000

/** A writer lets NATS take in what it has sent after each so many bytes. */
export const FLUSH_EVERY_BYTES: number = 256 * 1024

/** A writer waits while its connection holds more than this for its socket. */
export const BUS_PENDING_BYTES: number = 4 * 1024 * 1024

/** NATS not answering for so long, or a reader not reading on, ends the stream that waits for it. */
export const WRITE_STALL_MS = 10_000

/**
 * An accepted stream on which no request begins for so long is closed: its dialer may have gone
 * without a word [D-52]. Peers keep idle streams for votes, so it is long; they dial again.
 */
export const ACCEPTED_IDLE_MS: number = 10 * 60_000

/** Our own idle streams are not used again after this: well before the peer closes them. */
export const DIALED_IDLE_MS: number = 5 * 60_000

/** A request that has begun must go on arriving at least this often. */
export const REQUEST_STALL_MS = 10_000

/** Streams accepted from one peer, and from all: the one silent for longest makes room [D-52]. */
export const ACCEPTED_PER_PEER = 16
export const ACCEPTED_STREAMS = 256

/** The largest handshake that is looked at. */
export const HANDSHAKE_BYTES = 4_096

/** How long closing waits for NATS to take in the last words [Go]. */
export const CLOSE_FLUSH_MS = 500
