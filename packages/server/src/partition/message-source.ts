import type { RecordSource } from '@liftbridge/log'
import type { PublishView } from '@liftbridge/wire'
import type { ValueCipher } from './encryption.ts'

/** A message as `RecordBatch.add` reads it: one instance serves message after message. */
export class MessageSource implements RecordSource {
  bytes: Uint8Array = new Uint8Array(0)
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  valueBytes: Uint8Array | undefined = undefined
  headerCount = 0
  headers: Uint8Array = new Uint8Array(0)
  headersStart = 0
  headersEnd = 0

  load(publish: PublishView): void {
    this.bytes = publish.bytes
    this.keyStart = publish.keyStart
    this.keyEnd = publish.keyEnd
    this.valueStart = publish.valueStart
    this.valueEnd = publish.valueEnd
    this.valueBytes = undefined
  }

  setHeaders(headers: Uint8Array, count: number): void {
    this.headers = headers
    this.headersStart = 0
    this.headersEnd = headers.length
    this.headerCount = count
  }

  /** Puts the sealed value in the place of the plain one; false when it cannot be sealed. */
  seal(publish: PublishView, cipher: ValueCipher): boolean {
    const { valueStart, valueEnd, bytes } = publish
    try {
      const value = valueStart < 0 ? new Uint8Array(0) : bytes.subarray(valueStart, valueEnd)
      const sealed = cipher.seal(value)
      this.valueBytes = sealed
      this.valueStart = 0
      this.valueEnd = sealed.length
      return true
    } catch {
      return false
    }
  }
}
