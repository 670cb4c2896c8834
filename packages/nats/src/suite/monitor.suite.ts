import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { login } from './login-cases.suite.ts'
import { RawClient } from './raw-client.suite.ts'
import type { RunningServer, ServerProgram } from './server-programs.suite.ts'

type Json = Record<string, unknown>

/** The pages that tools read: names and kinds of fields, and the numbers that must be right. */
export function monitorSuite(program: ServerProgram): void {
  describe('monitoring', { concurrency: 1, timeout: 30_000 }, () => {
    let running: RunningServer | undefined
    const clients: RawClient[] = []
    before(async () => {
      running = await program.start(
        'http_port: -1\nauthorization { users = [ {user: a, password: x} ] }',
      )
      const address = { host: '127.0.0.1', port: running.port }
      const hello = login({ user: 'a', pass: 'x', name: 'mon', lang: 'raw', version: '1' })
      for (let i = 0; i < 2; i++) clients.push(await RawClient.open(address, hello))
      clients[0]?.send('SUB mon.a 1\r\nSUB mon.* q 2\r\nUNSUB 2 9\r\nPUB mon.a 5\r\nhello\r\n')
      for (const client of clients) await client.untilPong()
    })
    after(async () => {
      for (const client of clients) await client.close()
      await running?.stop()
    })
    const get = async (path: string): Promise<{ status: number; body: Json; text: string }> => {
      const response = await fetch(`${running?.monitorUrl}${path}`)
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json') === true
      const body: Json = isJson ? JSON.parse(text) : {}
      return { status: response.status, body, text }
    }
    summaries(get, program)
    connections(get)
    test('a question of the wrong form is refused', async () => {
      for (const path of ['/connz?sort=x', '/connz?limit=x', '/connz?state=x', '/subsz?test=a.*']) {
        assert.equal((await get(path)).status, 400, path)
      }
      assert.equal((await get('/nope')).status, 404)
    })
  })
}

type Get = (path: string) => Promise<{ status: number; body: Json; text: string }>

function summaries(get: Get, program: ServerProgram): void {
  test('/varz has the fields that tools read', async () => {
    const { body } = await get('/varz')
    const kinds = (names: string, kind: string): void => {
      for (const name of names.split(' ')) assert.equal(typeof body[name], kind, name)
    }
    kinds('server_id server_name version host start now uptime config_load_time', 'string')
    kinds('proto port max_connections ping_interval ping_max http_port auth_timeout', 'number')
    kinds('max_control_line max_payload max_pending tls_timeout write_deadline', 'number')
    kinds('mem cores cpu connections total_connections routes remotes leafnodes', 'number')
    kinds('in_msgs out_msgs in_bytes out_bytes slow_consumers subscriptions', 'number')
    kinds('cluster gateway leaf jetstream http_req_stats', 'object')
    assert.equal(body['auth_required'], true)
    assert.equal(body['connections'], 2)
    assert.equal(body['total_connections'], 2)
    assert.equal(body['in_msgs'], 1)
    assert.equal(body['in_bytes'], 5)
    assert.equal(body['out_msgs'], 2)
    assert.equal(body['out_bytes'], 10)
    assert.equal(body['ping_interval'], 120_000_000_000)
    assert.equal(body['write_deadline'], 10_000_000_000)
    if (program.ours) assert.equal(body['subscriptions'], 2)
  })
  test('/healthz is well', async () => {
    const { status, body } = await get('/healthz')
    assert.deepEqual([status, body], [200, { status: 'ok' }])
  })
  test('/ links the pages', async () => {
    const { status, text } = await get('/')
    assert.equal(status, 200)
    for (const page of ['varz', 'connz', 'subsz', 'healthz']) assert.ok(text.includes(`./${page}`))
  })
  test('/subsz counts', async () => {
    const { body } = await get('/subsz')
    for (const name of 'num_subscriptions num_cache num_inserts num_removes num_matches'.split(
      ' ',
    )) {
      assert.equal(typeof body[name], 'number', name)
    }
    for (const name of 'cache_hit_rate max_fanout avg_fanout'.split(' ')) {
      assert.equal(typeof body[name], 'number', name)
    }
  })
  test('/subsz?test= lists who would get a message', async () => {
    const { body } = await get('/subsz?subs=1&test=mon.a')
    const found = list(body['subscriptions_list'])
    const subjects = found.map(({ subject }) => String(subject))
    assert.deepEqual(subjects.sort(), ['mon.*', 'mon.a'])
    assert.equal(body['total'], 2)
    assert.equal(found.find(({ subject }) => subject === 'mon.*')?.['qgroup'], 'q')
  })
}

function connections(get: Get): void {
  test('/connz describes each client', async () => {
    const { body } = await get('/connz')
    const found = list(body['connections'])
    assert.equal(body['num_connections'], 2)
    assert.equal(body['total'], 2)
    assert.equal(found.length, 2)
    const one = found[0] ?? {}
    for (const name of 'ip start last_activity uptime idle name lang version kind type'.split(
      ' ',
    )) {
      assert.equal(typeof one[name], 'string', name)
    }
    const counts = 'cid port pending_bytes in_msgs out_msgs in_bytes out_bytes subscriptions'
    for (const name of counts.split(' ')) assert.equal(typeof one[name], 'number', name)
    assert.equal(one['name'], 'mon')
    assert.equal(one['ip'], '127.0.0.1')
    assert.equal(one['in_msgs'], 1)
    assert.equal(one['out_msgs'], 2)
    assert.equal(one['subscriptions'], 2)
    assert.ok(!('subscriptions_list' in one) && !('authorized_user' in one))
  })
  test('/connz?subs=1 lists subjects', async () => {
    const found = list((await get('/connz?subs=1&sort=subs')).body['connections'])
    const subjects = found[0]?.['subscriptions_list']
    assert.ok(Array.isArray(subjects))
    assert.deepEqual(subjects.map(String).sort(), ['mon.*', 'mon.a'])
  })
  test('/connz?subs=detail lists subscriptions, auth=1 users', async () => {
    const found = list((await get('/connz?subs=detail&auth=1&sort=subs')).body['connections'])
    assert.equal(found[0]?.['authorized_user'], 'a')
    const details = list(found[0]?.['subscriptions_list_detail'])
    const queue = details.find(({ subject }) => subject === 'mon.*')
    assert.equal(queue?.['qgroup'], 'q')
    assert.equal(queue?.['msgs'], 1)
    assert.equal(queue?.['max'], 9)
    assert.equal(queue?.['sid'], '2')
  })
  test('/connz shows a page, or one connection', async () => {
    const first = (await get('/connz?limit=1')).body
    assert.equal(first['num_connections'], 1)
    assert.equal(first['total'], 2)
    assert.equal(first['limit'], 1)
    const cid = list(first['connections'])[0]?.['cid']
    const second = list((await get('/connz?limit=1&offset=1')).body['connections'])
    assert.notEqual(second[0]?.['cid'], cid)
    const one = list((await get(`/connz?cid=${String(cid)}`)).body['connections'])
    assert.deepEqual(
      one.map((client) => client['cid']),
      [cid],
    )
  })
  for (const sort of 'cid start subs pending msgs_to msgs_from bytes_to bytes_from last idle uptime'.split(
    ' ',
  )) {
    test(`/connz sorts by ${sort}`, async () => {
      const { status, body } = await get(`/connz?sort=${sort}`)
      assert.equal(status, 200)
      assert.equal(list(body['connections']).length, 2)
    })
  }
}

function list(value: unknown): Json[] {
  assert.ok(Array.isArray(value))
  return value
}
