/** What the server tells a client before or instead of going on; the texts are nats-server's. */
export const ErrorText = {
  unknownOperation: 'Unknown Protocol Operation',
  maxPayload: 'Maximum Payload Violation',
  maxControlLine: 'maximum control line exceeded',
  invalidSubject: 'Invalid Subject',
  invalidPublishSubject: 'Invalid Publish Subject',
  maxConnections: 'maximum connections exceeded',
  maxSubscriptions: 'maximum subscriptions exceeded',
  staleConnection: 'Stale Connection',
  authorization: 'Authorization Violation',
  authTimeout: 'Authentication Timeout',
  invalidProtocol: 'invalid client protocol',
  noRespondersRequiresHeaders: 'no responders requires headers support',
} as const

export function publishViolation(subject: string): string {
  return `Permissions Violation for Publish to ${quoted(subject)}`
}

export function subscribeViolation({ subject, queue }: { subject: string; queue: string }): string {
  const group = queue === '' ? '' : ` using queue ${quoted(queue)}`
  return `Permissions Violation for Subscription to ${quoted(subject)}${group}`
}

export function tooManyTokens(subject: string): string {
  return `Permissions Violation for Subscription to ${quoted(subject)}, too many tokens`
}

/** A byte string as Go quotes it. */
function quoted(bytes: string): string {
  const escaped = bytes.replaceAll(/["\\]/g, '\\$&')
  const printable = escaped.replaceAll(/[^\x20-\xff]|\x7f/g, (c) => {
    return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return `"${printable}"`
}

/** `address-in-use` and `address-refused` come from listening; `closed` from using a closed server. */
export type NatsErrorCode =
  | 'address-in-use'
  | 'address-refused'
  | 'closed'
  | 'bad-subject'
  | 'too-large'
  | 'congested'

/** What this package throws to the program that uses it. */
export class NatsServerError extends Error {
  readonly code: NatsErrorCode
  constructor(code: NatsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NatsServerError'
    this.code = code
  }
}
