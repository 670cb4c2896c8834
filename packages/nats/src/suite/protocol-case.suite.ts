/**
 * One client's conversation: what it sends after INFO and everything the server answers. The
 * answers were read off nats-server 2.9.10; where `ours` is set we chose otherwise.
 */
export interface ProtocolCase {
  readonly name: string
  readonly send: string
  readonly answer: string
  /** The server closes after the answer. */
  readonly closed?: true
  readonly ours?: { readonly answer: string; readonly closed?: true }
}

export const UNKNOWN = "-ERR 'Unknown Protocol Operation'\r\n"
export const TOO_LONG = "-ERR 'maximum control line exceeded'\r\n"
export const TOO_LARGE = "-ERR 'Maximum Payload Violation'\r\n"
export const BAD_SUBJECT = "-ERR 'Invalid Subject'\r\n"
export const BAD_TARGET = "-ERR 'Invalid Publish Subject'\r\n"
export const HEADER = 'NATS/1.0\r\n\r\n'
export const PEDANTIC = 'CONNECT {"verbose":false,"pedantic":true,"headers":true}\r\n'
export const long = (bytes: number): string => 'a'.repeat(bytes)
