/**
 * Network namespaces of one test run: a hub for this program and NATS, and one for each server,
 * joined to the hub by a cable of its own. Addresses and filters exist in there alone, so that
 * nothing of the machine's own network is touched.
 */
import { spawn, spawnSync } from 'node:child_process'

/** Set for the program that runs inside; what the names of the namespaces begin with. */
const VARIABLE = 'E2E_NAMESPACES'
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** What the names begin with, when this program runs in the hub; undefined outside. */
export function namespacePrefix(): string | undefined {
  return process.env[VARIABLE]
}

export function hubAddress(server: number): string {
  return `10.213.${server}.1`
}

export function serverAddress(server: number): string {
  return `10.213.${server}.2`
}

/** Why no namespaces can be made here; undefined when they can. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  if (spawnSync('ip', ['-V']).status !== 0) return '`ip` is not installed'
  if (spawnSync('nft', ['--version']).status !== 0) return '`nft` is not installed'
  const probe = `liftbridge${process.pid}probe`
  try {
    ip('netns', 'add', probe)
    inside(probe, 'nft', 'add table inet probe')
    return undefined
  } catch (error) {
    return `no network namespaces here: ${String(error)}`
  } finally {
    removeAll(probe)
  }
}

/**
 * Runs this very program again with these arguments, in the hub of fresh namespaces, and removes
 * them whatever becomes of it. Resolves with its exit code.
 */
export async function againInNamespaces(servers: number, args: string[]): Promise<number> {
  const prefix = `liftbridge${process.pid}`
  process.once('exit', () => removeAll(prefix))
  // The interface names below are limited to 15 characters, so they do not hold the prefix.
  const hub = `${prefix}hub`
  ip('netns', 'add', hub)
  ip('-n', hub, 'link', 'set', 'lo', 'up')
  for (let server = 1; server <= servers; server += 1) {
    const own = `${prefix}s${server}`
    ip('netns', 'add', own)
    ip('-n', own, 'link', 'set', 'lo', 'up')
    ip('-n', hub, ...`link add to-s${server} type veth peer name to-hub netns ${own}`.split(' '))
    ip('-n', hub, 'addr', 'add', `${hubAddress(server)}/30`, 'dev', `to-s${server}`)
    ip('-n', own, 'addr', 'add', `${serverAddress(server)}/30`, 'dev', 'to-hub')
    ip('-n', hub, 'link', 'set', `to-s${server}`, 'up')
    ip('-n', own, 'link', 'set', 'to-hub', 'up')
  }
  return new Promise((resolve) => {
    const [, script = ''] = process.argv
    const node = [process.execPath, ...process.execArgv, script, ...args]
    const child = spawn('ip', ['netns', 'exec', hub, ...node], {
      stdio: 'inherit',
      env: { ...process.env, [VARIABLE]: prefix },
    })
    // The child ends its own processes first; only then do the namespaces go. Another listener
    // here would end this program before the child.
    for (const signal of SIGNALS) {
      process.removeAllListeners(signal)
      process.on(signal, () => child.kill(signal))
    }
    child.once('error', () => resolve(1))
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** What a command begins with that is to run in a server's namespace. */
export function launcherOf(prefix: string, server: number): readonly string[] {
  return ['ip', 'netns', 'exec', `${prefix}s${server}`]
}

/** Runs nft's commands in a server's namespace; throws when they are refused. */
export function filter(prefix: string, server: number, commands: string): void {
  inside(`${prefix}s${server}`, 'nft', commands)
}

function inside(namespace: string, command: string, input: string): void {
  run(['netns', 'exec', namespace, command, '-f', '-'], input)
}

function ip(...args: string[]): void {
  run(args)
}

function run(args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync('ip', args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}

function removeAll(prefix: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const line of stdout.split('\n')) {
    const [name] = line.split(' ')
    if (name?.startsWith(prefix) === true) spawnSync('ip', ['netns', 'del', name])
  }
}
