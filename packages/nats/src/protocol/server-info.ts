/**
 * Clients read this field as "which features of nats-server may I use": it names the release whose
 * core protocol this server speaks (headers, no responders), not a release of ours.
 */
export const PROTOCOL_VERSION = '2.10.0'

/** What INFO says of the server; the names are the protocol's. */
export interface ServerInfo {
  readonly server_id: string
  readonly server_name: string
  readonly version: string
  readonly proto: 1
  readonly host: string
  readonly port: number
  readonly headers: true
  readonly max_payload: number
  readonly auth_required?: true
  readonly tls_required?: true
  readonly tls_verify?: true
  readonly tls_available?: true
  /** Lame duck mode: the server will close soon, connect elsewhere. */
  readonly ldm?: true
}

/** INFO as one client gets it. `nonce` '' leaves it out. */
export function infoFor(
  server: ServerInfo,
  client: { readonly id: number; readonly address: string; readonly nonce: string },
): string {
  return JSON.stringify({
    ...server,
    client_id: client.id,
    client_ip: client.address,
    ...(client.nonce === '' ? {} : { nonce: client.nonce }),
  })
}
