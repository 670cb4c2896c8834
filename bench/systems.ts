/** The systems under test. All run at once, and one of them at a time has something to do. */
import { fork } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { NatsProcess } from '../e2e/nats-process.ts'
import { removeFolder, tempFolder } from '../e2e/places.ts'
import { RawConnection } from '../e2e/raw-grpc.ts'
import { bytesField, encodeCreateStream } from '../e2e/raw-messages.ts'
import { ServerProcess } from '../e2e/server-process.ts'
import type { Case } from './cases.ts'
import { type Measured, runLoad } from './driver.ts'

export type SystemName = 'embedded' | 'external' | 'jetstream'

export type RunOptions = {
  readonly seconds: number
  /** Messages in the stream that subscribers read, at 128 bytes. */
  readonly readMessages: number
  readonly nodeArgs: readonly string[]
  readonly settings: Readonly<Record<string, string | number>>
  /** Runs what `tsc` made of our sources rather than the sources. */
  readonly compiled: boolean
}

/** A started system: runs cases, one at a time. */
export type System = {
  readonly name: SystemName
  /** Undefined when the system has no such case. */
  readonly run: (one: Case) => Promise<Measured | undefined>
  readonly stop: () => Promise<void>
}

const folder = dirname(fileURLToPath(import.meta.url))

export function startSystem(name: SystemName, options: RunOptions): Promise<System> {
  return name === 'jetstream' ? startJetStream(options) : startLiftbridge(name, options)
}

/** Larger messages are fewer, so that both streams have about the same bytes. */
function readMessages(options: RunOptions, valueBytes: number): number {
  return Math.round(options.readMessages * Math.min(1, 256 / valueBytes))
}

async function startLiftbridge(
  name: 'embedded' | 'external',
  options: RunOptions,
): Promise<System> {
  const nats = name === 'external' ? await NatsProcess.start() : undefined
  const server = await ServerProcess.start({
    ...(nats === undefined ? {} : { natsUrl: nats.url }),
    nodeArgs: options.nodeArgs,
    compiled: options.compiled,
    settings: { 'logging.level': 'warn', ...options.settings },
  })
  const pids = { server: server.pid, nats: nats?.pid }
  const { address } = server
  let streams = 0
  const withStream = async (use: (stream: string) => Promise<Measured>): Promise<Measured> => {
    const stream = `bench-${streams++}`
    const connection = await RawConnection.open(address)
    await connection.unary('CreateStream', encodeCreateStream(stream, stream, 1))
    try {
      return await use(stream)
    } finally {
      await connection.unary('DeleteStream', bytesField(1, stream))
      connection.close()
    }
  }
  const { seconds } = options
  return {
    name,
    run: (one) =>
      withStream(async (stream) => {
        switch (one.kind) {
          case 'publish':
            return runLoad({ ...one, address, stream, seconds }, pids)
          case 'subscribe': {
            const messages = readMessages(options, one.valueBytes)
            const { valueBytes, connections } = one
            await runLoad({ kind: 'fill', address, stream, valueBytes, messages }, pids)
            const task = { kind: 'subscribe', address, stream, messages, connections } as const
            return runLoad({ ...task, seconds }, pids)
          }
          case 'sync':
            return runLoad({ ...one, kind: 'unary', address, stream, seconds }, pids)
          case 'tail':
            return runLoad({ ...one, address, stream, seconds }, pids)
          default:
            return one satisfies never
        }
      }),
    stop: async () => {
      await server.stop()
      await server.remove()
      await nats?.kill()
    },
  }
}

async function startJetStream(options: RunOptions): Promise<System> {
  const files = tempFolder('jetstream')
  const nats = await NatsProcess.start({ jetStreamDir: files })
  const control = await connect({ servers: nats.url })
  const manager = await jetstreamManager(control)
  const pids = { server: nats.pid }
  const { url } = nats
  const { seconds } = options
  let streams = 0
  const withStream = async (
    use: (stream: string, subject: string) => Promise<Measured>,
  ): Promise<Measured> => {
    const stream = `bench-${streams++}`
    const subject = `bench.${streams}`
    await manager.streams.add({
      name: stream,
      subjects: [subject],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      num_replicas: 1,
    })
    try {
      return await use(stream, subject)
    } finally {
      await manager.streams.delete(stream)
    }
  }
  return {
    name: 'jetstream',
    run: async (one) => {
      switch (one.kind) {
        case 'publish': {
          const { window, valueBytes, connections } = one
          const task = { kind: 'jetstream-publish', url, window, valueBytes, connections } as const
          return withStream((_, subject) => runLoad({ ...task, subject, seconds }, pids))
        }
        case 'subscribe':
          return withStream(async (stream, subject) => {
            const messages = readMessages(options, one.valueBytes)
            const { valueBytes, connections } = one
            await runLoad({ kind: 'jetstream-fill', url, subject, valueBytes, messages }, pids)
            const task = { kind: 'jetstream-consume', url, stream, messages, connections } as const
            return runLoad({ ...task, seconds }, pids)
          })
        case 'sync':
          return withEcho(url, () => {
            const { valueBytes } = one
            return runLoad({ kind: 'nats-round-trip', url, valueBytes, seconds }, pids)
          })
        case 'tail':
          return undefined
        default:
          return one satisfies never
      }
    },
    stop: async () => {
      await control.close()
      await nats.kill()
      removeFolder(files)
    },
  }
}

/** Runs with a process beside it that answers requests. */
async function withEcho<T>(url: string, use: () => Promise<T>): Promise<T> {
  const echo = fork(join(folder, 'nats-echo.ts'), [url], { execArgv: ['--conditions=source'] })
  try {
    await new Promise((resolve) => echo.once('message', resolve))
    return await use()
  } finally {
    echo.kill()
  }
}
