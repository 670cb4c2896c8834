import { BusError } from '../bus.ts'

/**
 * Where NATS is and how to log in there, from URLs such as `nats://user:secret@host:4222`,
 * `tls://host`, `host:4222` and `nats://token@host`.
 *
 * The client library does not read userinfo (and takes a password that begins with digits for the
 * port), so it is taken out here; from here on addresses hold no secret [reliability A6, G17].
 */
export interface NatsAddresses {
  /** `host:port`, safe to show. */
  readonly servers: readonly string[]
  readonly login: NatsLogin
  /** True when a URL asks for TLS. */
  readonly tls: boolean
}

export type NatsLogin =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }

/** Throws BusError 'other' that names the position of the bad URL, never its text. */
export function parseNatsServers(urls: readonly string[]): NatsAddresses {
  const servers: string[] = []
  let login: NatsLogin = { kind: 'none' }
  let tls = false
  for (const [index, text] of urls.entries()) {
    const where = `NATS server ${index + 1} of ${urls.length}`
    const url = toUrl(text.trim())
    if (url === undefined) throw new BusError('other', `${where} is not a URL nats://host:port`)
    if (url.protocol === 'tls:') tls = true
    else if (url.protocol !== 'nats:') {
      throw new BusError(
        'other',
        `${where} has the scheme ${url.protocol} instead of nats: or tls:`,
      )
    }
    servers.push(`${url.hostname}:${url.port === '' ? DEFAULT_PORT : url.port}`)
    const given = loginOf(url)
    if (given.kind === 'none') continue
    if (login.kind !== 'none' && JSON.stringify(login) !== JSON.stringify(given)) {
      throw new BusError('other', `${where} has another login than the one before: use one for all`)
    }
    login = given
  }
  if (servers.length === 0) throw new BusError('other', 'no NATS server is configured')
  return { servers, login, tls }
}

const DEFAULT_PORT = 4222

function toUrl(text: string): URL | undefined {
  const url = text.includes('://') ? text : `nats://${text}`
  return URL.canParse(url) && new URL(url).hostname !== '' ? new URL(url) : undefined
}

function loginOf(url: URL): NatsLogin {
  const user = decoded(url.username)
  const password = decoded(url.password)
  if (user === '' && password === '') return { kind: 'none' }
  return password === '' ? { kind: 'token', token: user } : { kind: 'password', user, password }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
