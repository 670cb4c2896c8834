/** The files behind the TLS of the one port, read at start; errors name the setting. */
import { createSecureContext } from 'node:tls'
import { readPem } from '../adapters/pem-file.ts'
import type { TlsConfig } from '../config/config.ts'
import type { PortTls } from './port.ts'

/** Undefined when the port speaks cleartext. Throws an error for the operator. */
export function readTls({ keyPair, clientAuth }: TlsConfig): PortTls | undefined {
  if (!keyPair) return undefined
  const cert = readPem('tls.cert', keyPair.cert)
  const key = readPem('tls.key', keyPair.key)
  const clientCa =
    clientAuth.ca === undefined ? undefined : readPem('tls.client.auth.ca', clientAuth.ca)
  try {
    createSecureContext({ cert, key, ...(clientCa ? { ca: clientCa } : {}) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`tls.cert and tls.key cannot be used together: ${reason}`, { cause: error })
  }
  return { cert, key, clientAuth: clientAuth.enabled, ...(clientCa ? { clientCa } : {}) }
}
