/**
 * Every bound of the server that is not a setting, with its reason: no queue, buffer, cache, batch
 * or name grows because a client, a peer or a file wants it to. Bounds that operators may change
 * are keys instead (`limits.*`, `batch.max.messages`, `clustering.replication.max.bytes`,
 * `nats.embedded.*`) and stand in `docs/configuration.md`. Bounds that belong to one package stay
 * in it: the gRPC layer's abuse limits, the embedded NATS's, the opener's of the log.
 *
 * Sizes are bytes, times milliseconds.
 */

/**
 * Partitions of one stream. Each costs file descriptors, subscriptions and a place in every
 * metadata answer; Go Liftbridge allocated whatever number it was sent [D-03].
 */
export const STREAM_PARTITIONS_MAX = 1024

/** Partitions on one server; with lazily opened files each costs about 10 KiB when idle. */
export const SERVER_PARTITIONS_MAX = 100_000

/** Stream names, in UTF-8. File systems take 255 bytes of name, and NATS subjects grow with them. */
export const STREAM_NAME_MAX_BYTES = 255

/** NATS subjects chosen by clients: those of streams, and ack inboxes [A4]. */
export const SUBJECT_MAX_BYTES = 255

/** Load-balance group names; they become queue groups on the wire. */
export const GROUP_NAME_MAX_BYTES = 255

/** Correlation ids: repeated in every ack, so a long one costs twice. */
export const CORRELATION_ID_MAX_BYTES = 1024

/** Cursor ids; a cursor's key is stored with each of its positions. */
export const CURSOR_ID_MAX_BYTES = 1024

/** Streams or consumer groups named in one FetchMetadata request. */
export const METADATA_NAMES_MAX = 10_000

/**
 * Messages waiting for a partition's writer. 16 batches of the default size: enough to ride out
 * one slow sync without refusing anybody at 200,000 messages a second.
 */
export const INGEST_QUEUE_MAX_MESSAGES = 16_384

/** Bytes waiting for a partition's writer, whichever bound is met first. */
export const INGEST_QUEUE_MAX_BYTES: number = 32 * 1024 * 1024

/** Bytes waiting for all writers together: what keeps the process within its memory [B1]. */
export const INGEST_TOTAL_MAX_BYTES: number = 128 * 1024 * 1024

/** Bytes of one write to a log. Larger writes gain nothing and delay the acks behind them. */
export const INGEST_BATCH_MAX_BYTES: number = 1024 * 1024

/**
 * Publishes of one connection that wait for their acks. Windows of published clients go up to
 * 20,000; beyond this the connection is not read until acks have gone out.
 */
export const PUBLISH_IN_FLIGHT_MAX = 65_536

/** Acks that wait for the high watermark in one partition. */
export const PENDING_ACKS_MAX = 131_072

/** Bytes of messages read ahead for one subscription; then its reader waits for the client. */
export const SUBSCRIPTION_BUFFER_MAX_BYTES: number = 256 * 1024

/** One read of a log by a subscription. */
export const READ_BLOCK_MAX_BYTES: number = 256 * 1024

/** How long acks in flight are waited for when a client half-closes PublishAsync [LB clients 1]. */
export const PUBLISH_DRAIN_MS = 5_000

/** How long a shutdown waits for calls in flight before it cuts them. */
export const SHUTDOWN_DRAIN_MS = 5_000

/** One answer of a NATS request between servers. */
export const PEER_REQUEST_MS = 10_000

/** A connection that has not shown its protocol by then is closed. */
export const HANDSHAKE_MS = 10_000

/** Bytes that may wait for NATS before publishing pauses; NATS drops slow clients at 64 MiB. */
export const BUS_PENDING_MAX_BYTES: number = 8 * 1024 * 1024

/**
 * What a replication response carries besides its records: envelope, leader epoch, high watermark
 * [LB data plane 4.5]. A record is refused when it would not fit one response [LB 7.A7].
 */
export const REPLICATION_OVERHEAD_BYTES = 24

/**
 * Files that all logs together keep open. The usual limit of a process is 1,024 descriptors; the
 * rest is for connections.
 */
export const LOG_FILES_MAX = 512

/** Recent records that all logs together keep in memory for readers at the tail. */
export const LOG_TAILS_MAX_BYTES: number = 64 * 1024 * 1024
