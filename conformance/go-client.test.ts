/**
 * The judge that matters most: the Liftbridge client that Go programs use, unmodified, through a
 * small module of ours in `go/`. It runs where Go is installed and can fetch its modules.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempFolder } from '../e2e/places.ts'
import { type Deployment, onEachDeployment } from './deployments.ts'

const moduleFolder = join(dirname(fileURLToPath(import.meta.url)), 'go')
const program = join(tempFolder('go'), 'conformance')
const unavailable = build()

/** Why the checks cannot run here, or undefined after building the program. */
function build(): string | undefined {
  if (spawnSync('go', ['version']).status !== 0) return 'Go is not installed'
  const built = spawnSync('go', ['build', '-o', program, '.'], {
    cwd: moduleFolder,
    encoding: 'utf8',
    timeout: 300_000,
  })
  if (built.status === 0) return undefined
  // Without its modules Go cannot build; any other failure is a defect of ours.
  const offline = /dial tcp|no such host|proxy|connection refused|i\/o timeout/.test(built.stderr)
  if (offline) return 'the Go modules cannot be fetched here'
  throw new Error(`the Go module does not build:\n${built.stderr}`)
}

const checks = [
  'create-delete-metadata',
  'publish-sync',
  'publish-async',
  'publish-partitions',
  'publish-nats',
  'publish-subject',
  'publish-errors',
  'optimistic-concurrency',
  'subscribe-positions',
  'subscribe-stops',
  'subscribe-reverse',
  'subscribe-errors',
  'stream-deleted',
] as const

/** Runs one check; `onLine` sees what it prints and may answer on its stdin. */
function run(
  deployment: Deployment,
  check: string,
  onLine: (line: string) => Promise<string | undefined>,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [check], {
      timeout: 90_000,
      env: {
        ...process.env,
        LIFTBRIDGE_ADDRESS: deployment.server.address,
        NATS_URL: deployment.server.natsUrl,
      },
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      onLine(text.trim()).then((answer) => {
        if (answer !== undefined) child.stdin.write(`${answer}\n`)
      }, reject)
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stderr }))
  })
}

onEachDeployment('go-liftbridge v2', (running) => {
  for (const check of checks) {
    test(check, { skip: unavailable ?? false }, async () => {
      const result = await run(running(), check, async () => undefined)
      assert.equal(result.code, 0, result.stderr)
    })
  }

  test('resubscribes across a restart of the server', { skip: unavailable ?? false }, async () => {
    const deployment = running()
    const result = await run(deployment, 'restart', async (line) => {
      if (line !== 'restart the server') return undefined
      await deployment.server.kill()
      await deployment.server.restart()
      return 'restarted'
    })
    assert.equal(result.code, 0, result.stderr)
  })
})
