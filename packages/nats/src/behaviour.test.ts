import { describe, test } from 'node:test'
import { clientLibrarySuite } from './suite/client-library.suite.ts'
import { lifetimeSuite } from './suite/lifetime.suite.ts'
import { monitorSuite } from './suite/monitor.suite.ts'
import { OURS, theirs } from './suite/server-programs.suite.ts'
import { sessionSuite } from './suite/session.suite.ts'
import { tlsSuite } from './suite/tls.suite.ts'

for (const program of [OURS, theirs()]) {
  if (program === undefined) {
    test('nats-server behaves as the suite says', { skip: 'it is not installed' }, () => {})
  } else {
    describe(program.name, { concurrency: 6 }, () => {
      sessionSuite(program)
      clientLibrarySuite(program)
      lifetimeSuite(program)
      tlsSuite(program)
      monitorSuite(program)
    })
  }
}
