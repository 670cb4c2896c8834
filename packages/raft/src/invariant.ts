/**
 * Ends the core when it, its driver or its store broke the rules: what it would do from there on
 * could not be trusted. Never about what a peer sent. Always on [STYLE 16].
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`raft: ${message}`)
}
