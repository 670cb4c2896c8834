/**
 * Numbers of the messages of a stream between servers of ours. The wire has no place for them
 * [LB control plane 2.4], but a message on NATS may carry a reply subject, which a reader of bytes
 * never uses. Without numbers a message that comes twice, or not at all, would make every later
 * answer the answer to another request: a vote counted for a term it was not given in [M1].
 */
const PREFIX = 'seq.'
const NUMBER = /^seq\.(\d{1,15})$/

/** Reply subject of the message `number` of a stream; the first is 0. */
export function replyOf(number: number): string {
  return `${PREFIX}${number}`
}

/** The number, or undefined when the writer gives none, as a server of Go Liftbridge. */
export function numberOf(reply: string): number | undefined {
  const digits = NUMBER.exec(reply)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
