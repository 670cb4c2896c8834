import { errors } from '@nats-io/transport-node'
import { BusError, type BusErrorCode } from '../bus.ts'
import { BUS_ERROR_TEXT } from './bus-error-text.ts'
import type { NatsLogin } from './nats-address.ts'

/** Any error of the client library as a BusError. */
export function asBusError(error: unknown): BusError {
  if (error instanceof BusError) return error
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : String(error)
  return new BusError(code, KNOWN_TEXT[code] ?? text, { cause: error })
}

const KNOWN_TEXT: Readonly<Partial<Record<BusErrorCode, string>>> = {
  timeout: BUS_ERROR_TEXT.timeout,
  'no-responders': BUS_ERROR_TEXT.noResponders,
}

function codeOf(error: unknown): BusErrorCode {
  // The library wraps what went wrong with a request; the cause says which it was.
  if (error instanceof errors.TimeoutError) return 'timeout'
  if (error instanceof errors.NoRespondersError) return 'no-responders'
  if (error instanceof errors.InvalidSubjectError) return 'bad-subject'
  if (error instanceof errors.ClosedConnectionError) return 'closed'
  if (error instanceof errors.DrainingConnectionError) return 'closed'
  if (error instanceof errors.RequestError && error.cause !== undefined) return codeOf(error.cause)
  if (error instanceof Error && error.message === 'connection disconnected') return 'disconnected'
  return 'other'
}

/** Takes userinfo and the login's secrets out of a text that will be shown [reliability A6]. */
export function redactor(login: NatsLogin): (text: string) => string {
  const secrets: string[] = []
  if (login.kind === 'password') secrets.push(login.password)
  if (login.kind === 'token') secrets.push(login.token)
  return (text) => {
    let shown = text.replaceAll(/\/\/[^/@\s]*@/g, '//')
    for (const secret of secrets) {
      if (secret !== '') shown = shown.replaceAll(secret, '***')
    }
    return shown
  }
}
