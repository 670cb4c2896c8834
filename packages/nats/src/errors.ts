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
  slowConsumer: 'Slow Consumer',
  invalidProtocol: 'invalid client protocol',
  noRespondersRequiresHeaders: 'no responders requires headers support',
} as const

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
