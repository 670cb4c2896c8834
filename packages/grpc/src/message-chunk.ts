/**
 * Complete messages that arrived together: message `i` is `bytes[starts[i]] .. bytes[ends[i]]`.
 * The bytes are views into receive buffers, not copies; they stay valid for ever because a
 * receive buffer is never used twice. What stands between messages is unspecified.
 */
export interface MessageChunk {
  readonly bytes: Uint8Array
  readonly count: number
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

/** A view of one message. For hot paths read `bytes` between `starts` and `ends` instead. */
export function messageAt(chunk: MessageChunk, index: number): Uint8Array {
  return chunk.bytes.subarray(chunk.starts[index], chunk.ends[index])
}

/** Views of all messages of a chunk. */
export function* messagesOf(chunk: MessageChunk): Generator<Uint8Array> {
  for (let i = 0; i < chunk.count; i++) yield messageAt(chunk, i)
}
