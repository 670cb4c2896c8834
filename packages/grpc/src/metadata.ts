import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { GrpcError, GrpcStatus } from './status.ts'

const NAME = /^[0-9a-z_.-]+$/
const PRINTABLE = /^[\x20-\x7e]*$/
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Names that belong to HTTP/2 or gRPC itself: never shown to, never taken from the application. */
const RESERVED = new Set([
  'connection',
  'content-length',
  'content-type',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

function isReservedName(name: string): boolean {
  return name.startsWith(':') || name.startsWith('grpc-') || RESERVED.has(name)
}

/**
 * Call metadata: names are lower case, a name may have several values, names ending in `-bin`
 * carry bytes. Values are kept as they travel (base64 for `-bin`) and decoded when asked for, so
 * a call that never looks at its metadata pays nothing.
 */
export class Metadata {
  /** Set while the fields still sleep in the headers they came with. */
  #headers: IncomingHttpHeaders | undefined
  #fields: Map<string, string[]> | undefined

  static fromHeaders(headers: IncomingHttpHeaders): Metadata {
    const metadata = new Metadata()
    metadata.#headers = headers
    return metadata
  }

  /** First value of a text field. */
  get(name: string): string | undefined {
    return this.#load().get(name.toLowerCase())?.[0]
  }

  /** All values of a text field, in the order they were sent. */
  getAll(name: string): readonly string[] {
    return this.#load().get(name.toLowerCase()) ?? []
  }

  /**
   * First value of a `-bin` field.
   * @throws GrpcError INTERNAL when the peer sent what is not base64.
   */
  getBinary(name: string): Uint8Array | undefined {
    return this.getAllBinary(name)[0]
  }

  /** All values of a `-bin` field; throws as `getBinary`. */
  getAllBinary(name: string): readonly Uint8Array[] {
    // Several binary values may arrive joined by commas, which base64 never contains.
    const texts = this.getAll(name).flatMap((value) => value.split(','))
    return texts.map((text) => decodeBase64(name, text.trim()))
  }

  /** Replaces the field. @throws TypeError when name or value cannot travel. */
  set(name: string, value: string | Uint8Array): void {
    this.#load().set(checkedName(name), [wireValue(name, value)])
  }

  /** Adds a value to the field; throws as `set`. */
  append(name: string, value: string | Uint8Array): void {
    const key = checkedName(name)
    const values = this.#load().get(key)
    if (values === undefined) this.#load().set(key, [wireValue(name, value)])
    else values.push(wireValue(name, value))
  }

  delete(name: string): void {
    this.#load().delete(name.toLowerCase())
  }

  names(): readonly string[] {
    return [...this.#load().keys()]
  }

  get isEmpty(): boolean {
    return this.#headers === undefined && (this.#fields?.size ?? 0) === 0
  }

  /** Writes the fields into headers for `node:http2`. */
  writeTo(headers: OutgoingHttpHeaders): void {
    if (this.isEmpty) return
    for (const [name, values] of this.#load()) {
      headers[name] = values.length === 1 ? values[0] : values
    }
  }

  #load(): Map<string, string[]> {
    if (this.#fields !== undefined) return this.#fields
    const fields = new Map<string, string[]>()
    for (const [name, value] of Object.entries(this.#headers ?? {})) {
      if (value === undefined || isReservedName(name)) continue
      fields.set(name, Array.isArray(value) ? [...value] : [String(value)])
    }
    this.#headers = undefined
    this.#fields = fields
    return fields
  }
}

function checkedName(name: string): string {
  const key = name.toLowerCase()
  if (!NAME.test(key) || isReservedName(key)) {
    throw new TypeError(`metadata name ${JSON.stringify(name)} cannot be sent`)
  }
  return key
}

function wireValue(name: string, value: string | Uint8Array): string {
  const binary = name.toLowerCase().endsWith('-bin')
  if (typeof value !== 'string') {
    if (!binary) throw new TypeError(`metadata ${name}: bytes need a name ending in -bin`)
    // The protocol asks senders to leave the padding out, and receivers to take both.
    return Buffer.from(value).toString('base64').replace(/=+$/, '')
  }
  if (binary) throw new TypeError(`metadata ${name}: a name ending in -bin needs bytes`)
  if (!PRINTABLE.test(value)) {
    throw new TypeError(`metadata ${name}: the value holds characters that cannot be sent`)
  }
  return value
}

function decodeBase64(name: string, text: string): Uint8Array {
  if (!BASE64.test(text)) {
    throw new GrpcError(GrpcStatus.INTERNAL, `malformed binary metadata in header "${name}"`)
  }
  return Buffer.from(text, 'base64')
}
