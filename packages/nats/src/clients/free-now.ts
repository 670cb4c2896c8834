/**
 * Gives memory back at once. The garbage collector would too, but counts memory of buffers late:
 * a server that reads at full speed then holds a hundred megabytes that nobody needs. Nothing may
 * use a view of it afterwards.
 */
export function freeNow(memory: ArrayBufferLike): void {
  if (memory instanceof ArrayBuffer) memory.transferToFixedLength(0)
}
