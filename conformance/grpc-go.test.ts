/*
 * Interoperability of package grpc with google.golang.org/grpc in both roles. The Go side is
 * packages/grpc/interop/go. Skipped, with the reason, where Go or its modules are missing.
 *
 *     node --conditions=source --test conformance/grpc-go.test.ts
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test, type TestContext } from 'node:test'
import {
  decodeHealthResponse,
  encodeFrames,
  encodeHealthRequest,
  GrpcChannel,
  GrpcServer,
  GrpcStatus,
  messageAt,
  messagesOf,
  Metadata,
  ServingStatus,
} from '@liftbridge/grpc'
import { FAIL_TEXT, InteropService } from '../packages/grpc/src/interop-service.suite.ts'
import { failure } from '../packages/grpc/src/loopback-server.suite.ts'

const SOURCE = join(import.meta.dirname, '../packages/grpc/interop/go')
const BUILD_TIMEOUT_MS = 300_000
const MIB = 1024 * 1024

const folder = mkdtempSync(join(tmpdir(), 'grpc-go-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Built = { readonly path: string } | { readonly missing: string }

/** The built Go program, or why there is none; fails when it is our program that is wrong. */
const program = new Promise<Built>((resolve, reject) => {
  const path = join(folder, 'interop')
  const options = { cwd: SOURCE, timeout: BUILD_TIMEOUT_MS }
  execFile('go', ['build', '-o', path, '.'], options, (error, _stdout, stderr) => {
    if (error === null) resolve({ path })
    else if (error.code === 'ENOENT') resolve({ missing: 'Go is not installed' })
    else if (/dial tcp|lookup |timeout|proxy|toolchain|requires go/i.test(stderr)) {
      resolve({ missing: `the Go modules cannot be fetched: ${stderr.slice(0, 300)}` })
    } else reject(new Error(`the Go program does not build: ${stderr || error.message}`))
  })
})

async function goProgram(t: TestContext): Promise<string | undefined> {
  const built = await program
  if ('path' in built) return built.path
  t.skip(built.missing)
  return undefined
}

const service = new InteropService()
const cuts: string[] = []

test('every check of the Go client passes against our server', async (t) => {
  const path = await goProgram(t)
  if (path === undefined) return
  const grpc = new GrpcServer({
    methods: service.methods,
    compressResponses: true,
    onCut: (reason) => cuts.push(reason),
  })
  const listener = createServer({ noDelay: true }, (socket) => grpc.handleConnection(socket))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  try {
    const lines = await new Promise<string>((resolve) => {
      execFile(path, ['client', `127.0.0.1:${port}`], { timeout: 60_000 }, (_error, out) =>
        resolve(out),
      )
    })
    const results = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; error: string })
    assert.equal(results.length, 12, lines)
    for (const { name, error } of results) {
      await t.test(name, () => assert.equal(error, ''))
    }
    assert.equal(service.lastCall?.signal.aborted, true)
    // Go closes its one connection by itself; none was cut by us, its many PINGs notwithstanding.
    assert.deepEqual(cuts, [])
  } finally {
    await grpc.stop()
    listener.close()
  }
})

test('our client works against the Go server', async (t) => {
  const path = await goProgram(t)
  if (path === undefined) return
  const server = spawn(path, ['server'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const line = await new Promise<string>((resolve) => {
    createInterface(server.stdout).once('line', resolve)
  })
  const [port = 0, healthPort = 0] = line.split(' ').map(Number)
  const channel = await GrpcChannel.connect({ host: '127.0.0.1', port })
  const uint32 = Buffer.from([0, 0, 0x4e, 0x20])
  const nothing = new Uint8Array(0)
  try {
    await t.test('unary with metadata both ways', async () => {
      const metadata = new Metadata()
      metadata.set('ping', 'pong')
      const answer = await channel.unaryWithTrailers('/t.T/Echo', Buffer.from('hi'), { metadata })
      assert.equal(Buffer.from(answer.response).toString(), 'hi')
      assert.deepEqual([...(answer.trailers.getBinary('last-bin') ?? [])], [0, 1, 255])
    })
    await t.test('errors, deadline, cancellation, unknown method', async () => {
      const failed = await failure(channel.unary('/t.T/Fail', nothing))
      assert.deepEqual([failed.code, failed.message], [GrpcStatus.FAILED_PRECONDITION, FAIL_TEXT])
      const late = await failure(channel.unary('/t.T/Hang', nothing, { timeoutMs: 50 }))
      assert.equal(late.code, GrpcStatus.DEADLINE_EXCEEDED)
      const signal = AbortSignal.timeout(30)
      const cancelled = await failure(channel.unary('/t.T/Hang', nothing, { signal }))
      assert.equal(cancelled.code, GrpcStatus.CANCELLED)
      const unknown = await failure(channel.unary('/t.T/Nope', nothing))
      assert.equal(unknown.code, GrpcStatus.UNIMPLEMENTED)
    })
    await t.test('large messages, gzip, and one over the limit of Go', async () => {
      const large = Buffer.alloc(3 * MIB, 'abc')
      assert.ok(large.equals(await channel.unary('/t.T/Echo', large)))
      assert.ok(large.equals(await channel.unary('/t.T/Echo', large, { compress: true })))
      const over = await failure(channel.unary('/t.T/Echo', Buffer.alloc(5_000_010)))
      assert.equal(over.code, GrpcStatus.RESOURCE_EXHAUSTED)
      assert.match(over.message, /received message larger than max \(5000010 vs\. 4194304\)/)
    })
    await t.test('server streaming, client streaming, bidirectional', async () => {
      let next = 0
      for await (const chunk of channel.serverStream('/t.T/Count', uint32)) {
        for (const m of messagesOf(chunk)) assert.equal(Buffer.from(m).toString(), String(next++))
      }
      assert.equal(next, 20_000)
      const sum = channel.clientStream('/t.T/Sum')
      for (let i = 0; i < 50; i++) {
        const batch = Array.from({ length: 40 }, () => Buffer.alloc(1000))
        if (!sum.write(encodeFrames(batch))) await sum.drained()
      }
      sum.halfClose()
      assert.equal(Buffer.from(await sum.response).toString(), '2000000')
      const echo = channel.bidi('/t.T/EchoAll')
      const numbers = Array.from({ length: 10_000 }, (_, i) => Buffer.from(String(i)))
      const writing = (async () => {
        for (let i = 0; i < numbers.length; i += 500) {
          if (!echo.write(encodeFrames(numbers.slice(i, i + 500)))) await echo.drained()
        }
        echo.halfClose()
      })()
      let back = 0
      for await (const chunk of echo.responses) {
        for (const m of messagesOf(chunk)) assert.equal(Buffer.from(m).toString(), String(back++))
      }
      await writing
      assert.equal(back, 10_000)
      await echo.trailers
    })
    await t.test('a flood that we leave early ends on both sides', async () => {
      let got = 0
      for await (const chunk of channel.serverStream('/t.T/Flood', nothing)) {
        assert.equal(messageAt(chunk, 0).length, 8192)
        if ((got += chunk.count) > 4096) break
      }
      const answer = await channel.unary('/t.T/Echo', Buffer.from('still here'))
      assert.equal(answer.length, 10)
    })
    await t.test('health', async () => {
      const health = await GrpcChannel.connect({ host: '127.0.0.1', port: healthPort })
      const path = '/grpc.health.v1.Health/Check'
      const answer = await health.unary(path, encodeHealthRequest(''))
      assert.equal(decodeHealthResponse(answer), ServingStatus.SERVING)
      const unknown = await failure(health.unary(path, encodeHealthRequest('nope')))
      assert.equal(unknown.code, GrpcStatus.NOT_FOUND)
      await health.close()
    })
    await t.test('the end of the server is UNAVAILABLE', async () => {
      const live = failure(channel.unary('/t.T/Hang', nothing))
      server.stdin.end()
      assert.equal((await live).code, GrpcStatus.UNAVAILABLE)
      await channel.closed
    })
  } finally {
    await channel.close(0)
    server.stdin.end()
  }
})
