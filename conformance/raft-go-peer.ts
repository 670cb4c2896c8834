/** hashicorp/raft as a process: the Go program of `go-raft`, built once for each test file. */
import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, type TestContext } from 'node:test'

const SOURCE = join(import.meta.dirname, 'go-raft')
const BUILD_TIMEOUT_MS = 300_000

const folder = mkdtempSync(join(tmpdir(), 'raft-go-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Built = { readonly path: string } | { readonly missing: string }

/** The built Go program, or why there is none; fails when it is our program that is wrong. */
const program: Promise<Built> = new Promise((resolve, reject) => {
  const path = join(folder, 'raft')
  const options = { cwd: SOURCE, timeout: BUILD_TIMEOUT_MS }
  execFile('go', ['build', '-o', path, '.'], options, (error, _stdout, stderr) => {
    if (error === null) resolve({ path })
    else if (error.code === 'ENOENT') resolve({ missing: 'Go is not installed' })
    else if (/dial tcp|lookup |timeout|proxy|toolchain|requires go/i.test(stderr)) {
      resolve({ missing: `the Go modules cannot be fetched: ${stderr.slice(0, 300)}` })
    } else reject(new Error(`the Go program does not build: ${stderr || error.message}`))
  })
})

/** Where the Go program is; skips the test, with the reason, where it cannot be built. */
export async function goProgram(t: TestContext): Promise<string | undefined> {
  const built = await program
  if ('path' in built) return built.path
  t.skip(built.missing)
  return undefined
}

/** What the Go program says: a line of JSON. */
export type Line = { readonly kind: string; readonly value: Readonly<Record<string, unknown>> }

/** A Go process and what it has said. */
export class GoPeer {
  readonly lines: Line[] = []
  readonly #child: ChildProcessWithoutNullStreams
  readonly ended: Promise<number | null>
  stderr = ''
  #said: () => void = () => {}

  constructor(path: string, args: readonly string[]) {
    const child = spawn(path, args)
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line)
      this.#said()
    })
    this.ended = new Promise((resolve) => child.once('close', resolve))
  }

  of(kind: string): Line['value'][] {
    return this.lines.filter((line) => line.kind === kind).map(({ value }) => value)
  }

  async until(kind: string, count = 1): Promise<void> {
    while (this.of(kind).length < count) {
      await new Promise<void>((resolve) => (this.#said = resolve))
    }
  }

  /** A line for its stdin. */
  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  async stop(): Promise<void> {
    this.#child.stdin.end()
    await this.ended
  }
}
