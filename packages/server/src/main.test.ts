/** The process: exit codes, signals, and waiting for NATS. Few cases, since each is a process. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import { endingOf, temporaryDirectory, TestClient, until } from './running-server.suite.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

class ServerProcess {
  readonly child: ChildProcess
  output = ''
  readonly exited: Promise<number | null>

  constructor(t: TestContext, args: readonly string[]) {
    const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', MAIN, ...args]
    this.child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
    this.exited = once(this.child, 'close').then(([code]) => code as number | null)
    t.after(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    let over = false
    void this.exited.then(() => (over = true))
    await until(`the server says ${pattern}:\n${this.output}`, () => {
      assert.ok(!over || pattern.test(this.output), `it ended: ${this.output}`)
      return pattern.test(this.output)
    })
    const match = this.output.match(pattern)
    assert.ok(match)
    return match
  }

  /** The port of the API, as the server tells it before NATS is there. */
  async port(): Promise<number> {
    return Number((await this.says(/server on 127\.0\.0\.1:(\d+)/))[1])
  }
}

/** Flags of a server that disturbs nobody. */
async function quiet(t: TestContext): Promise<{ args: string[]; directory: string }> {
  const directory = await temporaryDirectory(t)
  const file = `${directory}/settings.yaml`
  await writeFile(
    file,
    `listen: 127.0.0.1:0\ndata.dir: ${directory}/data\nnats.embedded: true\nnats.embedded.port: -1\n`,
  )
  return { args: ['--config', file], directory }
}

function readiness(port: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/readyz', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }).on('error', reject)
  })
}

test('what is wrong on the command line or in the file ends with code 1 and a text without a stack', async (t) => {
  const { directory } = await quiet(t)
  const bad = `${directory}/bad.yaml`
  await writeFile(bad, 'listen: 127.0.0.1:0\nstreams.sync.policy: sometimes\n')
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const inUse = `${directory}/in-use.yaml`
  await writeFile(
    inUse,
    `listen: 127.0.0.1:${port}\ndata.dir: ${directory}/data\nnats.embedded: true\nnats.embedded.port: -1\n`,
  )
  const cases: [string[], number, RegExp][] = [
    [['--no-such-flag'], 1, /--no-such-flag/],
    [['--config', bad], 1, /bad\.yaml:2:\d+.*streams\.sync\.policy/s],
    [['--config', inUse], 1, /port is taken.*--port.*listen/s],
    [['--help'], 0, /--data-dir/],
    [['--version'], 0, /^\D*\d+\.\d+\.\d+/],
  ]
  await Promise.all(
    cases.map(async ([args, code, text]) => {
      const server = new ServerProcess(t, args)
      assert.equal(await server.exited, code, `${args.join(' ')}: ${server.output}`)
      assert.match(server.output, text)
      assert.doesNotMatch(server.output, /^\s+at .*:\d+:\d+/m)
    }),
  )
})

test('a data directory has one server; SIGHUP says what it applied; SIGTERM drains and ends with 0', async (t) => {
  const { args, directory } = await quiet(t)
  const server = new ServerProcess(t, args)
  await server.says(/Serving on/)
  const second = new ServerProcess(t, args)
  assert.equal(await second.exited, 1)
  assert.match(second.output, /data.*(in use|another)/is)

  const port = await server.port()
  const client = await TestClient.connect(port)
  t.after(() => client.close())
  await client.create('s')
  const subscription = client.subscribe('s')
  await subscription.started()

  const { readFile } = await import('node:fs/promises')
  const before = await readFile(args[1] ?? '', 'utf8')
  const changed = 'logging.level: debug\nbatch.max.messages: 7\n'
  await writeFile(args[1] ?? '', `${before}${changed}clustering.namespace: other\n`)
  server.child.kill('SIGHUP')
  await server.says(
    /configuration reloaded.*logging\.level.*batch\.max\.messages|configuration reloaded.*batch\.max\.messages.*logging\.level/,
  )
  await server.says(/take a restart.*clustering\.namespace/)
  await writeFile(args[1] ?? '', 'nonsense: true\n')
  server.child.kill('SIGHUP')
  await server.says(/not reloaded.*nonsense/s)

  assert.equal((await client.publish('s', 'kept'))?.offset, 0n)
  server.child.kill('SIGTERM')
  assert.equal(await server.exited, 0)
  assert.equal((await subscription.toEnd()).ending.status, 'UNAVAILABLE')
  assert.match(server.output, /Shut down/)
  assert.ok(directory.length > 0)
})

test('a second signal does not wait for what is in flight', async (t) => {
  const { args } = await quiet(t)
  const server = new ServerProcess(t, args)
  await server.says(/Serving on/)
  const client = await TestClient.connect(await server.port())
  t.after(() => client.close())
  // Nothing is ever committed here, so the call is in flight until it is cut.
  await client.create('s', { minIsr: { value: 3 } })
  const publisher = client.publishAsync()
  publisher.send('s', 'never', { ackPolicy: 1 })
  await until('it is stored', async () => (await client.partition('s')).newestOffset === 0n)
  server.child.kill('SIGTERM')
  await server.says(/Shutting down/)
  server.child.kill('SIGTERM')
  assert.equal(await server.exited, 130)
  await publisher.toEnd()
})

test('a server waits for NATS visibly, serves when it comes, and again when it came back', async (t) => {
  const { args } = await quiet(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const natsPort = (taken.address() as AddressInfo).port
  await new Promise((resolve) => taken.close(resolve))
  const { readFile } = await import('node:fs/promises')
  const text = (await readFile(args[1] ?? '', 'utf8')).replace(/nats\.[^]*$/, '')
  await writeFile(args[1] ?? '', `${text}nats.servers: ["nats://127.0.0.1:${natsPort}"]\n`)
  const server = new ServerProcess(t, [...args, '--raft-bootstrap-seed'])
  const port = await server.port()
  const waiting = await readiness(port)
  assert.equal(waiting.status, 503)
  assert.match(waiting.body, /"nats","ok":false/)
  const client = await TestClient.connect(port)
  t.after(() => client.close())
  assert.equal((await endingOf(client.create('s'))).status, 'UNAVAILABLE')

  let nats = new NatsServer({ host: '127.0.0.1', port: natsPort })
  t.after(() => nats.close())
  await nats.listen()
  const isReady = async (): Promise<boolean> => (await readiness(port)).status === 200
  await until('the server is ready', isReady)
  await client.create('s')
  assert.equal((await client.publish('s', 'one'))?.offset, 0n)

  await nats.close()
  await until('the loss is told', async () => !(await isReady()))
  const lost = await endingOf(client.publish('s', 'lost'))
  assert.equal(lost.status, 'UNKNOWN')
  assert.match(lost.text, /NATS/)
  nats = new NatsServer({ host: '127.0.0.1', port: natsPort })
  await nats.listen()
  await until('the server is ready again', isReady)
  await until('publishes are taken again', async () => {
    return (await endingOf(client.publish('s', 'two'))).status === 'OK'
  })
  assert.deepEqual(await client.values('s'), ['one', 'two'])
})
