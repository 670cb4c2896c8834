import { fromHex, toHex } from '../testdata.suite.ts'
import { MsgpackReader } from './reader.ts'
import { MsgpackWriter } from './writer.ts'

/** What `write` writes, in hexadecimal digits. */
export function written(write: (writer: MsgpackWriter) => void): string {
  const writer = new MsgpackWriter()
  write(writer)
  return toHex(writer.finish())
}

export const read = (hex: string): MsgpackReader => new MsgpackReader(fromHex(hex))
