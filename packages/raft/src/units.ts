/** Position in the Raft log; the first entry is 1, 0 stands for "none". At most 2^53 - 1. */
export type Index = number

/** Raft term; 0 before the first election. At most 2^53 - 1. */
export type Term = number

/** Identity and address of a server at once: a NATS subject token [LB 2.1]. */
export type ServerId = string

/** A moment on the driver's monotonic clock, in milliseconds. It may have a fraction. */
export type Moment = number

/** Correlates a request with its one answer; see `Outgoing` and `Input` for who chooses it. */
export type RequestId = number

/** Correlates what the driver asked of its own core with the `Answer`; the driver chooses it. */
export type TicketId = number
