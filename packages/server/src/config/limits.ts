/**
 * The bounds of the server that are not settings, each with its reason: no queue, buffer, cache,
 * batch or name grows because a client, a peer or a file wants it to. Sizes are bytes, times
 * milliseconds. Where the other bounds stand:
 *
 * - settings (`limits.*`, `batch.max.messages`, `clustering.replication.max.bytes`, …) in the
 *   table of keys and in `docs/configuration.md`;
 * - connections, calls, headers, windows and rates of gRPC in `packages/grpc/src/limits.ts`;
 * - lengths of subjects in wire's `subject-syntax.ts`, of names in metadata's `names.ts`;
 * - records, open files and blocks read of the log in its `format/record.ts` and `options.ts`.
 */

/**
 * Partitions of one stream. Each costs file descriptors, subscriptions and a place in every
 * metadata answer; Go Liftbridge allocated whatever number it was sent [D-03].
 */
export const STREAM_PARTITIONS_MAX = 1024

/** Partitions on one server. An idle one costs memory and names in folders, though no open file. */
export const SERVER_PARTITIONS_MAX = 100_000

/** Streams or consumer groups named in one FetchMetadata request. */
export const METADATA_NAMES_MAX = 10_000

/**
 * Messages waiting for a partition's writer. 16 batches of the default size, which is what arrives
 * in 80 ms at 200,000 messages a second: a slow sync passes without refusing anybody.
 */
export const INGEST_QUEUE_MAX_MESSAGES = 16_384

/** Bytes waiting for a partition's writer, whichever bound is met first. */
export const INGEST_QUEUE_MAX_BYTES: number = 32 * 1024 * 1024

/**
 * Publishes of one connection that wait for their acks. Windows of published clients go up to
 * 20,000; beyond this the connection is not read until acks have gone out.
 */
export const PUBLISH_IN_FLIGHT_MAX = 65_536

/** How long acks in flight are waited for when a client half-closes PublishAsync [LB clients 1]. */
export const PUBLISH_DRAIN_MS = 5_000

/** How long a shutdown waits for calls in flight before it cuts them. */
export const SHUTDOWN_DRAIN_MS = 5_000

/** A connection that has not shown its protocol by then is closed. */
export const HANDSHAKE_MS = 10_000

/**
 * Files that all logs together keep open. The usual limit of a process is 1,024 descriptors; the
 * rest is for connections.
 */
export const LOG_FILES_MAX = 512

/** Recent records that all logs together keep in memory for readers at the tail. */
export const LOG_TAILS_MAX_BYTES: number = 16 * 1024 * 1024

/** Bytes waiting for all writers together: what keeps the process within its memory [B1]. */
export const INGEST_TOTAL_MAX_BYTES: number = 96 * 1024 * 1024

/**
 * Memory of one partition's records that wait for a sync or for replicas. A sync that takes 100 ms
 * at 200,000 messages of 128 bytes a second holds a tenth of it; when the ISR stays too small the
 * acks never come, and further publishes with AckPolicy ALL are refused [B1].
 */
export const ACKS_MAX_BYTES: number = 64 * 1024 * 1024

/** The same of all partitions together. */
export const ACKS_TOTAL_MAX_BYTES: number = 128 * 1024 * 1024

/** Bytes of one write to a log: larger ones gain nothing and delay the acks behind them. */
export const INGEST_BATCH_MAX_BYTES: number = 1024 * 1024

/**
 * Metadata operations of other servers that the metadata leader carries out at a time; a CreateStream
 * with many partitions holds some 100 KiB while it waits for its commit.
 */
export const FORWARDED_MAX = 1_024

/**
 * Bytes of the responses that the followers of a server may be sent at a time, all partitions
 * together: each partition's responses are bounded by its share of this, too.
 */
export const FETCHED_TOTAL_MAX_BYTES: number = 64 * 1024 * 1024

/** The smallest share; a larger record is still sent alone. */
export const FETCHED_SHARE_MIN_BYTES: number = 64 * 1024
