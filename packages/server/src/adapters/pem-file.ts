import { readFileSync } from 'node:fs'

/** The bytes of a PEM file that `setting` names. Throws an error for the operator. */
export function readPem(setting: string, path: string): Buffer {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${setting}: cannot read ${path}: ${reason}`, { cause: error })
  }
  if (!bytes.includes('-----BEGIN ')) throw new Error(`${setting}: ${path} is not a PEM file`)
  return bytes
}
