/** Position in the Raft log; the first entry is 1, 0 stands for "none". At most 2^53 - 1. */
export type Index = number

/** Raft term; 0 before the first election. At most 2^53 - 1. */
export type Term = number

/** Identity and address of a server at once: a NATS subject token [LB 2.1]. */
export type ServerId = string
