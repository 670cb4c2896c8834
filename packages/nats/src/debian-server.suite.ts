import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** The program to compare with: `nats-server` of the PATH or of Debian. */
export function findNatsServer(): string | undefined {
  return ['nats-server', '/usr/sbin/nats-server'].find(
    (program) => spawnSync(program, ['--version']).status === 0,
  )
}

/** Starts it on a free port, or on `port`, and waits until it listens. */
export async function startNatsServer(
  program: string,
  port: number = -1,
  args: readonly string[] = [],
): Promise<NatsProcess> {
  const child = spawn(program, ['-a', '127.0.0.1', '-p', String(port), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let bound = 0
  for await (const line of createInterface({ input: child.stderr })) {
    const match = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(line)
    if (match !== null) bound = Number(match[1])
    if (line.includes('Server is ready')) break
  }
  child.stderr.resume()
  if (bound === 0) throw new Error('nats-server did not start')
  return { port: bound, pid: child.pid ?? 0, stop: () => stop(child) }
}

export interface NatsProcess {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
