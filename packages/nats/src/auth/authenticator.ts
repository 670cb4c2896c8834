import { createHash, timingSafeEqual } from 'node:crypto'
import { fromPublic } from '@nats-io/nkeys'
import type { ConnectOptions } from '../protocol/connect-options.ts'
import { BcryptThread } from './bcrypt-thread.ts'
import { Permissions, type NatsPermissions } from './permissions.ts'

/** Who may connect. Without `token` and `users` everybody may. */
export interface NatsAuth {
  /** One secret for all; plain or a bcrypt hash. */
  readonly token?: string
  readonly users?: readonly NatsUser[]
  /** The user that a client without credentials becomes. */
  readonly noAuthUser?: string
  /** A client that has not sent its credentials by then is cut. 2 s. */
  readonly timeoutMs?: number
}

/** `password` is plain or a bcrypt hash; `nkey` is the public key of a user (`U…`). */
export type NatsUser =
  | { readonly user: string; readonly password: string; readonly permissions?: NatsPermissions }
  | { readonly nkey: string; readonly permissions?: NatsPermissions }

/** Who a connection turned out to be; '' for nobody in particular. */
export interface Identity {
  readonly user: string
  /** Undefined: it may do everything. */
  readonly permissions: Permissions | undefined
}

export interface AuthRequest {
  readonly credentials: ConnectOptions
  /** What INFO asked the client to sign; '' when it did not. */
  readonly nonce: string
  /** Names in the client's verified certificate, where they stand for its user; else undefined. */
  readonly certificateNames: readonly string[] | undefined
}

/** Decides who a client is. Undefined means: nobody we know. */
export class Authenticator {
  readonly #auth: NatsAuth
  readonly #byName = new Map<string, Extract<NatsUser, { user: string }>>()
  readonly #byNkey = new Map<string, Extract<NatsUser, { nkey: string }>>()
  readonly #bcrypt = new BcryptThread()

  constructor(auth: NatsAuth) {
    this.#auth = auth
    for (const user of auth.users ?? []) {
      if ('nkey' in user) this.#byNkey.set(user.nkey, user)
      else this.#byName.set(user.user, user)
    }
  }

  /** True when a client must say who it is. */
  get required(): boolean {
    return this.#auth.token !== undefined || this.#byName.size + this.#byNkey.size > 0
  }

  get wantsNonce(): boolean {
    return this.#byNkey.size > 0
  }

  get timeoutMs(): number {
    return this.#auth.timeoutMs ?? 2000
  }

  /** Who a client is that sends commands before CONNECT; undefined when it must not. */
  get unannounced(): Identity | undefined {
    if (!this.required) return EVERYBODY
    const user = this.#byName.get(this.#auth.noAuthUser ?? '')
    return user && identityOf(user.user, user)
  }

  /** At once, or later where bcrypt has to be computed. */
  check(request: AuthRequest): Identity | undefined | Promise<Identity | undefined> {
    const { credentials, certificateNames } = request
    const { token } = this.#auth
    if (!this.required) return EVERYBODY
    if (certificateNames !== undefined) return this.#byCertificate(certificateNames)
    if (token !== undefined) return this.#ifSecret(credentials.authToken, token, EVERYBODY)
    const { user, pass, nkey } = credentials
    if (nkey !== '') return this.#bySignature(request)
    if (user === '' && pass === '' && credentials.authToken === '') return this.unannounced
    const known = this.#byName.get(user)
    if (known === undefined) return undefined
    return this.#ifSecret(pass, known.password, identityOf(user, known))
  }

  close(): Promise<void> {
    return this.#bcrypt.close()
  }

  #ifSecret(
    given: string,
    expected: string,
    identity: Identity,
  ): Identity | undefined | Promise<Identity | undefined> {
    if (!isBcrypt(expected)) return sameSecret(given, expected) ? identity : undefined
    return this.#bcrypt.matches(given, expected).then((same) => (same ? identity : undefined))
  }

  #bySignature({ credentials: { nkey, sig }, nonce }: AuthRequest): Identity | undefined {
    const known = this.#byNkey.get(nkey)
    if (known === undefined || nonce === '') return undefined
    const signature = Buffer.from(sig, 'base64url')
    if (signature.length !== SIGNATURE_BYTES) return undefined
    const valid = fromPublic(nkey).verify(Buffer.from(nonce), signature)
    return valid ? identityOf(nkey, known) : undefined
  }

  #byCertificate(names: readonly string[]): Identity | undefined {
    for (const name of names) {
      const known = this.#byName.get(name)
      if (known !== undefined) return identityOf(name, known)
    }
    return undefined
  }
}

/** Ed25519. Another length would make the library throw. */
const SIGNATURE_BYTES = 64

const EVERYBODY: Identity = { user: '', permissions: undefined }

function identityOf(name: string, { permissions }: NatsUser): Identity {
  return { user: name, permissions: permissions && new Permissions(permissions) }
}

/** Whether a configured password is a bcrypt hash rather than the password itself. */
function isBcrypt(password: string): boolean {
  return /^\$2[abxy]\$\d{2}\$.{53}$/s.test(password)
}

/** Compares in a time that does not depend on where the two differ. */
function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
