import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { run, type Running, temporaryDirectory } from '../running-server.suite.ts'
import { MetricsText } from './metrics-text.ts'

/** Values by name and labels, as they stand in the text. */
type Scrape = ReadonlyMap<string, number>

async function scrape({ server }: Running): Promise<{ readonly text: string; values: Scrape }> {
  const response = await fetch(`http://127.0.0.1:${server.address.port}/metrics`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const pairs = lines.map((line): [string, number] => {
    const at = line.lastIndexOf(' ')
    return [line.slice(0, at), Number(line.slice(at + 1))]
  })
  return { text, values: new Map(pairs) }
}

/** Scrapes until the values are as wanted: a text holds for a tenth of a second. */
async function until(running: Running, wanted: (values: Scrape) => boolean): Promise<Scrape> {
  for (;;) {
    const { values } = await scrape(running)
    if (wanted(values)) return values
  }
}

type Varz = Readonly<Record<string, number>>

type WithMonitor = {
  readonly running: Running
  readonly nats: NatsConnection
  readonly varz: () => Promise<Varz>
}

/** A server whose embedded NATS has a user and pages of its own. */
async function withMonitor(t: TestContext): Promise<WithMonitor> {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'nats.conf')
  await writeFile(
    file,
    `port: -1\nhttp: "127.0.0.1:-1"\nports_file_dir: "${directory}"\n` +
      `authorization { user: derek, password: ${CANARY} }\n`,
  )
  const running = await run(t, { settings: { 'nats.embedded.config': file } })
  const ports = (await readdir(directory)).find((name) => name.endsWith('.ports')) ?? ''
  const written: unknown = JSON.parse(await readFile(join(directory, ports), 'utf8'))
  const { monitoring } = written as { readonly monitoring: readonly string[] }
  const { port } = new URL(running.server.natsUrl ?? '')
  const nats = await connect({ port: Number(port), user: 'derek', pass: CANARY })
  t.after(() => nats.close())
  const varz = async (): Promise<Varz> =>
    (await (await fetch(`${monitoring[0]}/varz`)).json()) as Varz
  return { running, nats, varz }
}

const CANARY = 'canary-9d81f3'

test('/metrics tells of the embedded NATS what /varz tells', async (t) => {
  const { running, nats, varz } = await withMonitor(t)
  const got = new Promise<void>((resolve) => {
    nats.subscribe('greetings', { max: 3, callback: () => resolve() })
  })
  nats.subscribe('other')
  for (const text of ['a', 'bb', 'ccc']) nats.publish('greetings', text)
  await nats.flush()
  await got
  const names = {
    connections: 'liftbridge_nats_connections',
    total_connections: 'liftbridge_nats_connections_accepted_total',
    slow_consumers: 'liftbridge_nats_slow_consumers_total',
    subscriptions: 'liftbridge_nats_subscriptions',
    in_msgs: 'liftbridge_nats_in_messages_total',
    in_bytes: 'liftbridge_nats_in_bytes_total',
    out_msgs: 'liftbridge_nats_out_messages_total',
    out_bytes: 'liftbridge_nats_out_bytes_total',
  }
  // Heartbeats and the like go on meanwhile: equal when both pages saw the same moment.
  for (;;) {
    const before = await varz()
    const { values } = await scrape(running)
    const after = await varz()
    if (Object.keys(names).some((field) => before[field] !== after[field])) continue
    const told = Object.entries(names).map(([field, name]) => [field, values.get(name)])
    if (told.some(([field, value]) => before[String(field)] !== value)) continue
    assert.ok((values.get(names.in_msgs) ?? 0) >= 3 && (values.get(names.in_bytes) ?? 0) >= 6)
    assert.equal(values.get(names.connections), 1)
    assert.equal(values.get('liftbridge_nats_connected{connection="streams"}'), 1)
    return
  }
})

test('/metrics tells of streams, partitions and Raft', async (t) => {
  const running = await run(t)
  const { client } = running
  await client.create('s', { partitions: 2 })
  for (const value of ['one', 'two', 'three']) await client.publish('s', value)
  const at = '{stream="s",partition="0"}'
  const values = await until(
    running,
    (now) => now.get(`liftbridge_partition_high_watermark${at}`) === 2,
  )
  assert.equal(values.get('liftbridge_streams'), 1)
  assert.equal(values.get('liftbridge_cluster_partitions{state="all"}'), 2)
  assert.equal(values.get('liftbridge_cluster_partitions{state="without_leader"}'), 0)
  assert.equal(values.get('liftbridge_partitions{role="leader"}'), 2)
  assert.equal(values.get('liftbridge_partitions{role="follower"}'), 0)
  assert.equal(values.get('liftbridge_partitions_not_running'), 0)
  assert.equal(values.get('liftbridge_damaged_segments'), 0)
  assert.equal(values.get('liftbridge_partitions_unlisted'), 0)
  assert.equal(values.get(`liftbridge_partition_newest_offset${at}`), 2)
  assert.equal(values.get(`liftbridge_partition_oldest_offset${at}`), 0)
  assert.equal(values.get(`liftbridge_partition_isr_size${at}`), 1)
  assert.equal(values.get(`liftbridge_partition_leader${at}`), 1)
  assert.equal(values.get('liftbridge_partition_newest_offset{stream="s",partition="1"}'), -1)
  assert.equal(values.get('liftbridge_metadata_leader'), 1)
  assert.equal(values.get('liftbridge_raft_voters'), 1)
  assert.ok((values.get('liftbridge_raft_term') ?? 0) >= 1)
  const committed = values.get('liftbridge_raft_commit_index') ?? 0
  assert.ok(committed >= 1 && committed <= (values.get('liftbridge_raft_last_index') ?? 0))
  const size = values.get(`liftbridge_partition_size_bytes${at}`) ?? 0
  assert.ok(size > 0 && (values.get('liftbridge_log_size_bytes') ?? 0) >= size)
})

test('a stream that was deleted is not told of any more', async (t) => {
  const running = await run(t)
  await running.client.create('gone')
  await until(running, (now) => now.get('liftbridge_streams') === 1)
  await running.client.delete('gone')
  const values = await until(running, (now) => now.get('liftbridge_streams') === 0)
  assert.ok(![...values.keys()].some((name) => name.includes('gone')))
})

test('/metrics holds no secret and nothing that was published [reliability A6]', async (t) => {
  const { running, nats } = await withMonitor(t)
  await running.client.create('s')
  await running.client.publish('s', CANARY)
  nats.publish('s', CANARY)
  await nats.flush()
  const at = 'liftbridge_partition_newest_offset{stream="s",partition="0"}'
  await until(running, (now) => now.get(at) === 1)
  const { text } = await scrape(running)
  assert.ok(!text.includes(CANARY) && !text.includes('derek'))
})

test('/metrics tells of the process under the names that dashboards know', async (t) => {
  const { values } = await scrape(await run(t))
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_open_fds',
    'process_start_time_seconds',
    'nodejs_eventloop_lag_seconds',
    'nodejs_heap_size_used_bytes',
  ]) {
    assert.ok((values.get(name) ?? -1) >= 0, name)
  }
})

test('docs/metrics.md has a line for each metric of ours, and for no other', async (t) => {
  const { text } = await scrape(await run(t))
  const names = [...text.matchAll(/^# TYPE (liftbridge_\S+)/gm)].map(([, name = '']) => name)
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/metrics.md'), 'utf8')
  const documented = [...page.matchAll(/^\| `(liftbridge_[a-z_]+)/gm)].map(([, name = '']) => name)
  assert.deepEqual(documented.toSorted(), names.toSorted())
})

test('before anything has started, what is not known is left out', async () => {
  const nothing = { metadata: undefined, reconciler: undefined, raft: undefined }
  const text = await new MetricsText({
    version: 'x"\\\n',
    serverId: () => '',
    connections: () => 0,
    metadata: () => ({ ...nothing, isAlive: () => true }),
    partitions: () => [],
    buses: () => undefined,
    natsStats: () => undefined,
  }).read()
  assert.match(text, /^liftbridge_info\{version="x\\"\\\\\\n",server_id=""\} 1$/m)
  assert.doesNotMatch(text, /^liftbridge_(?:nats|streams|raft)/m)
})
