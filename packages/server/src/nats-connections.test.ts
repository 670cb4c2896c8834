import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { NatsConfig } from './config/config.ts'
import { silentLogger } from './logging/logger.ts'
import { openNats } from './nats-connections.ts'

const folder = mkdtempSync(join(tmpdir(), 'liftbridge-nats-tls-'))
after(() => rmSync(folder, { recursive: true }))

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function openWith(tls: NatsConfig['tls']): Promise<never> {
  const config: NatsConfig = {
    servers: ['nats://127.0.0.1:1'],
    embedded: undefined,
    credentials: { kind: 'none' },
    tls,
  }
  const { signal } = new AbortController()
  const opened = await openNats({
    config,
    name: 'LIFT.test.a',
    logger: silentLogger,
    verbose: false,
    signal,
  })
  await opened.close()
  throw new Error('it was opened')
}

test('a file of the TLS to NATS that cannot be used ends the start and is named', async () => {
  const missing = join(folder, 'missing.pem')
  const pem = file('good.pem', '-----BEGIN CERTIFICATE-----\n')
  const text = file('text.pem', 'not one')
  const cases: readonly (readonly [NonNullable<NatsConfig['tls']>, RegExp])[] = [
    [{ ca: missing, keyPair: undefined }, /^nats\.tls\.ca: cannot read .*missing\.pem: ENOENT/],
    [{ ca: folder, keyPair: undefined }, /^nats\.tls\.ca: cannot read .*: EISDIR/],
    [{ ca: text, keyPair: undefined }, /^nats\.tls\.ca: .*text\.pem is not a PEM file/],
    [{ ca: undefined, keyPair: { cert: missing, key: pem } }, /^nats\.tls\.cert: cannot read/],
    [{ ca: pem, keyPair: { cert: pem, key: missing } }, /^nats\.tls\.key: cannot read/],
  ]
  for (const [tls, message] of cases) await assert.rejects(openWith(tls), { message })
})
