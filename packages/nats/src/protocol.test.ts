import { after, before, describe, test } from 'node:test'
import { findNatsServer, startNatsServer, type NatsProcess } from './debian-server.suite.ts'
import { protocolSuite } from './suite/protocol.suite.ts'
import { NatsServer } from './server.ts'

describe('our server', () => {
  const server = new NatsServer({ port: -1 })
  before(() => server.listen())
  after(() => server.close())
  protocolSuite({
    name: 'our server',
    ours: true,
    address: () => ({ host: '127.0.0.1', port: server.port }),
  })
})

describe('nats-server', () => {
  const program = findNatsServer()
  if (program === undefined) {
    test('behaves as the suite says', { skip: 'nats-server is not installed' }, () => {})
    return
  }
  let child: NatsProcess | undefined
  before(async () => {
    child = await startNatsServer(program)
  })
  after(() => child?.stop())
  protocolSuite({
    name: 'nats-server',
    ours: false,
    address: () => ({ host: '127.0.0.1', port: child?.port ?? 0 }),
  })
})
