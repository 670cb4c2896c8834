import { createSecureContext } from 'node:tls'
import type { NatsTls } from '../clients/tls.ts'
import { given, type Section } from './section.ts'

/** The block `tls`, and `allow_non_tls` beside it. Files are read as they are named. */
export function readTls(top: Section, readFile: (path: string) => string): NatsTls | undefined {
  const allowNonTls = top.boolean('allow_non_tls')
  const block = top.section('tls')
  if (block === undefined) return undefined
  const { section, place } = block
  const pem = (name: string): string | undefined => {
    const path = section.text(name)
    if (path === undefined) return undefined
    try {
      return readFile(path)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return section.problem(section.entry(name)?.place ?? place, `tls.${name}: ${why}`)
    }
  }
  const [cert, key, ca] = [pem('cert_file'), pem('key_file'), pem('ca_file')]
  const verify = section.boolean('verify')
  const verifyAndMap = section.boolean('verify_and_map')
  const timeoutMs = section.durationMs('timeout')
  const handshakeFirst = section.boolean('handshake_first', 'first', 'immediate')
  for (const name of NODE_DECIDES) {
    const entry = section.entry(name)
    if (entry === undefined) continue
    section.problem(entry.place, `tls.${name} is not supported by the embedded server, ${INSTEAD}`)
  }
  section.finish()
  if (section.entry('cert_file') === undefined || section.entry('key_file') === undefined) {
    return section.problem(place, 'tls needs cert_file and key_file')
  }
  if (cert === undefined || key === undefined) return undefined
  try {
    createSecureContext({ cert, key, ...given({ ca }) })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return section.problem(place, `tls: the certificate and key cannot be used: ${why}`)
  }
  const more = given({ ca, verify, verifyAndMap, timeoutMs, handshakeFirst, allowNonTls })
  return { cert, key, ...more }
}

const INSTEAD = 'which speaks TLS 1.2 and 1.3 with the ciphers of Node'
const NODE_DECIDES = [
  'cipher_suites',
  'curve_preferences',
  'pinned_certs',
  'insecure',
  'min_version',
  'connection_rate_limit',
  'cert_store',
  'cert_match',
  'cert_match_by',
  'ocsp_peer',
  'certs',
]
