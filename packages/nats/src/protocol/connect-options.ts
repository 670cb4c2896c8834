/**
 * What a client says about itself in CONNECT. Before the first CONNECT a connection behaves as if
 * it had sent `DEFAULT_CONNECT_OPTIONS`, and a later CONNECT changes only what it names.
 */
export interface ConnectOptions {
  readonly verbose: boolean
  readonly pedantic: boolean
  readonly echo: boolean
  readonly headers: boolean
  readonly noResponders: boolean
  readonly name: string
  readonly lang: string
  readonly version: string
  readonly protocol: number
  readonly user: string
  readonly pass: string
  readonly authToken: string
  readonly nkey: string
  /** Signature of the nonce in INFO, base64url. */
  readonly sig: string
}

export const DEFAULT_CONNECT_OPTIONS: ConnectOptions = {
  verbose: true,
  pedantic: true,
  echo: true,
  headers: false,
  noResponders: false,
  name: '',
  lang: '',
  version: '',
  protocol: 0,
  user: '',
  pass: '',
  authToken: '',
  nkey: '',
  sig: '',
}

/** Undefined when `json` is no JSON object or a field has the wrong type. */
export function parseConnect(json: string, before: ConnectOptions): ConnectOptions | undefined {
  let fields: unknown
  try {
    fields = JSON.parse(json)
  } catch {
    return undefined
  }
  if (fields === null) return before
  if (typeof fields !== 'object' || Array.isArray(fields)) return undefined
  const reader = new FieldReader(fields)
  const options: ConnectOptions = {
    verbose: reader.boolean('verbose', before.verbose),
    pedantic: reader.boolean('pedantic', before.pedantic),
    echo: reader.boolean('echo', before.echo),
    headers: reader.boolean('headers', before.headers),
    noResponders: reader.boolean('no_responders', before.noResponders),
    name: reader.text('name', before.name),
    lang: reader.text('lang', before.lang),
    version: reader.text('version', before.version),
    protocol: reader.number('protocol', before.protocol),
    user: reader.text('user', before.user),
    pass: reader.text('pass', before.pass),
    authToken: reader.text('auth_token', before.authToken),
    nkey: reader.text('nkey', before.nkey),
    sig: reader.text('sig', before.sig),
  }
  return reader.failed ? undefined : options
}

/** Reads typed fields; null counts as absent, as in Go's decoder, whose clients rely on it. */
class FieldReader {
  readonly #fields: object
  failed = false

  constructor(fields: object) {
    this.#fields = fields
  }

  boolean(name: string, otherwise: boolean): boolean {
    const value = this.#value(name)
    return typeof value === 'boolean' ? value : this.#otherwise(value, otherwise)
  }

  text(name: string, otherwise: string): string {
    const value = this.#value(name)
    return typeof value === 'string' ? value : this.#otherwise(value, otherwise)
  }

  number(name: string, otherwise: number): number {
    const value = this.#value(name)
    return typeof value === 'number' ? value : this.#otherwise(value, otherwise)
  }

  #otherwise<T>(value: unknown, otherwise: T): T {
    if (value !== undefined) this.failed = true
    return otherwise
  }

  #value(name: string): unknown {
    const value: unknown = Object.hasOwn(this.#fields, name)
      ? Reflect.get(this.#fields, name)
      : undefined
    return value === null ? undefined : value
  }
}
