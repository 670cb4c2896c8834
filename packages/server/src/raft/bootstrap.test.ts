import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { planFirstStart } from './bootstrap.ts'

const ids = fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/), {
  minLength: 1,
  maxLength: 6,
})

test('all who found a cluster store the same first entry; those beyond the quorum wait [D-21]', () => {
  fc.assert(
    fc.property(ids, fc.nat({ max: 7 }), fc.nat(), (servers, maxQuorumSize, turn) => {
      const at = turn % servers.length
      const bootstrapPeers = [...servers.slice(at), ...servers.slice(0, at)]
      const plans = servers.map((self) =>
        planFirstStart(self, { bootstrapSeed: turn % 2 === 0, bootstrapPeers, maxQuorumSize }),
      )
      const founding = plans.flatMap((plan) => (plan.kind === 'bootstrap' ? [plan] : []))
      const size = maxQuorumSize === 0 ? servers.length : Math.min(maxQuorumSize, servers.length)
      assert.equal(founding.length, size)
      for (const { configuration } of founding) {
        assert.deepEqual(configuration, founding[0]?.configuration)
        assert.equal(configuration.servers.length, servers.length)
        const voters = configuration.servers.filter(({ suffrage }) => suffrage === 'voter')
        assert.equal(voters.length, size)
        const names = configuration.servers.map(({ id }) => id)
        assert.deepEqual(
          names,
          names.toSorted((a, b) => Buffer.from(a).compare(Buffer.from(b))),
        )
      }
    }),
  )
})

test('a seed founds a cluster of itself, and without both settings a server joins', () => {
  const alone = { bootstrapSeed: true, bootstrapPeers: [], maxQuorumSize: 0 }
  assert.deepEqual(planFirstStart('a', alone), {
    kind: 'bootstrap',
    configuration: { servers: [{ id: 'a', address: 'a', suffrage: 'voter' }] },
  })
  assert.deepEqual(planFirstStart('a', { ...alone, bootstrapSeed: false }), { kind: 'join' })
})
