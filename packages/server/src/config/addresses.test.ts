import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type AddressKeys,
  advertisedAddress,
  formatHostPort,
  parseListen,
  resolveAddresses,
} from './addresses.ts'

function resolved(keys: Partial<AddressKeys>): string {
  const { bind, advertised } = resolveAddresses({
    listen: undefined,
    host: undefined,
    port: keys.port ?? 9292,
    portGiven: keys.port !== undefined,
    portOverListen: false,
    ...keys,
  })
  return `${formatHostPort(bind)} as ${formatHostPort(advertised)}`
}

const listen = (host: string | undefined, port: number) => ({ host, port })

test('without settings it binds every interface and advertises localhost', () => {
  assert.equal(resolved({}), '0.0.0.0:9292 as localhost:9292')
  assert.equal(resolved({ port: 9300 }), '0.0.0.0:9300 as localhost:9300')
})

test('host is bound and advertised when listen is unset', () => {
  assert.equal(resolved({ host: 'a.example' }), 'a.example:9292 as a.example:9292')
  assert.equal(resolved({ host: 'a.example', port: 1 }), 'a.example:1 as a.example:1')
})

test('listen is bound and advertised when host is unset', () => {
  assert.equal(resolved({ listen: listen('10.0.0.1', 9293) }), '10.0.0.1:9293 as 10.0.0.1:9293')
})

test('host is advertised when both are set, with the port of listen [D-61]', () => {
  const keys = { listen: listen('10.0.0.1', 9293), host: 'a.example' }
  assert.equal(resolved(keys), '10.0.0.1:9293 as a.example:9293')
})

test('a port beside listen and host is the one to advertise, for a port mapping', () => {
  const keys = { listen: listen('10.0.0.1', 9293), host: 'a.example', port: 443 }
  assert.equal(resolved(keys), '10.0.0.1:9293 as a.example:443')
})

test('a listen without a host is not ignored [D-61]', () => {
  assert.equal(resolved({ listen: listen(undefined, 5050) }), '0.0.0.0:5050 as localhost:5050')
  const withHost = { listen: listen(undefined, 5050), host: 'a.example' }
  assert.equal(resolved(withHost), 'a.example:5050 as a.example:5050')
})

test('a listen that is just a port is not ignored [D-61]', () => {
  assert.deepEqual(parseListen('5050'), { kind: 'ok', host: undefined, port: 5050 })
})

test('a port from a stronger source wins over the port of listen [D-61]', () => {
  const keys = { listen: listen('10.0.0.1', 9293), port: 9400, portOverListen: true }
  assert.equal(resolved(keys), '10.0.0.1:9400 as 10.0.0.1:9400')
})

test('a port of equal strength beside listen without host does not change the listen port', () => {
  assert.equal(resolved({ listen: listen('::1', 9293), port: 9400 }), '[::1]:9293 as [::1]:9293')
})

test('a wildcard is never advertised, however it is written [LB clients 2.0-12]', () => {
  for (const host of ['0.0.0.0', '::', '0', '0.0', '00.0.0.0', '0:0:0:0:0:0:0:0', '::0', '*']) {
    for (const keys of [{ host }, { listen: listen(host, 9292) }]) {
      assert.match(resolved(keys), / as localhost:9292$/, host)
    }
    const { warnings } = resolveAddresses({
      listen: undefined,
      host,
      port: 1,
      portGiven: true,
      portOverListen: true,
    })
    assert.equal(warnings.length, 1)
  }
  assert.equal(resolved({ host: '::1' }), '[::1]:9292 as [::1]:9292')
  assert.equal(resolved({ host: '10.0.0.0' }), '10.0.0.0:9292 as 10.0.0.0:9292')
})

test('port 0 is advertised as the port that was bound', () => {
  const { advertised } = resolveAddresses({
    listen: listen('127.0.0.1', 0),
    host: undefined,
    port: 9292,
    portGiven: false,
    portOverListen: false,
  })
  assert.deepEqual(advertisedAddress(advertised, 40_001), { host: '127.0.0.1', port: 40_001 })
  const fixed = advertisedAddress({ host: 'a', port: 443 }, 9292)
  assert.deepEqual(fixed, { host: 'a', port: 443 })
})

test('listen takes IPv6 in brackets', () => {
  assert.deepEqual(parseListen('[::1]:9292'), { kind: 'ok', host: '::1', port: 9292 })
  assert.deepEqual(parseListen('[fe80::1%eth0]:1'), { kind: 'ok', host: 'fe80::1%eth0', port: 1 })
})

test('a bad listen is refused in the words of Liftbridge', () => {
  const reason = (text: string) => {
    const result = parseListen(text)
    return result.kind === 'bad' ? result.reason : 'accepted'
  }
  assert.match(reason('localhost'), /^Could not parse address string "localhost"/)
  assert.match(reason('::1'), /^Could not parse address string "::1"/)
  assert.match(reason('http://a:1'), /^Could not parse address string/)
  assert.match(reason('a:b'), /^Could not parse port "b"/)
  assert.match(reason('a:'), /^Could not parse port ""/)
  assert.match(reason('a:65536'), /^Could not parse port "65536"/)
  assert.match(reason('-1'), /^Could not parse address string "-1"/)
})

test('every address is read back from its text', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  fc.assert(
    fc.property(host, fc.nat({ max: 65_535 }), (name, port) => {
      const parsed = parseListen(formatHostPort({ host: name, port }))
      assert.deepEqual(parsed, { kind: 'ok', host: name, port })
    }),
  )
})
