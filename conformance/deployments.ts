/** The two ways a server meets NATS; every suite runs on both. */
import { randomUUID } from 'node:crypto'
import { after, before, describe } from 'node:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { NatsProcess, natsServerProgram } from '../e2e/nats-process.ts'
import { ServerProcess } from '../e2e/server-process.ts'
import { ApiClient } from './api-client.ts'
import type { CreateStreamRequest } from './api-types.ts'

export type DeploymentKind = 'external NATS' | 'embedded NATS'

/** A running server with the clients that a suite needs. */
export class Deployment {
  readonly server: ServerProcess
  readonly api: ApiClient
  readonly #external: NatsProcess | undefined
  #connection: NatsConnection | undefined

  private constructor(server: ServerProcess, external: NatsProcess | undefined) {
    this.server = server
    this.api = new ApiClient(server.address)
    this.#external = external
  }

  static async start(
    kind: DeploymentKind,
    settings: Readonly<Record<string, string | number | boolean>> = {},
  ): Promise<Deployment> {
    const external = kind === 'external NATS' ? await NatsProcess.start() : undefined
    try {
      const natsUrl = external === undefined ? {} : { natsUrl: external.url }
      return new Deployment(await ServerProcess.start({ ...natsUrl, settings }), external)
    } catch (error) {
      await external?.kill()
      throw error
    }
  }

  /** A plain NATS connection beside the server, as any application has one. */
  async nats(): Promise<NatsConnection> {
    this.#connection ??= await connect({ servers: this.server.natsUrl })
    return this.#connection
  }

  /** Creates a stream under a fresh name, on the subject of the same name unless told otherwise. */
  async stream(options: CreateStreamRequest = {}): Promise<string> {
    const name = options.name ?? freshName()
    await this.api.ok('CreateStream', { subject: name, ...options, name })
    return name
  }

  /** Publishes values one after the other with LEADER acks; the offsets they got. */
  async publish(stream: string, values: readonly string[], partition = 0): Promise<number[]> {
    const offsets: number[] = []
    for (const value of values) {
      const { ack } = await this.api.ok('Publish', { stream, partition, value: bytes(value) })
      if (ack === null) throw new Error('a publish with a deadline was answered without an ack')
      offsets.push(Number(ack.offset))
    }
    return offsets
  }

  async stop(): Promise<void> {
    this.api.close()
    await this.#connection?.close()
    await this.server.remove()
    await this.#external?.kill()
  }
}

/** Defines the suite twice. `CONFORMANCE_NATS=embedded|external` runs one half. */
export function onEachDeployment(
  subject: string,
  define: (running: () => Deployment) => void,
  settings: Readonly<Record<string, string | number | boolean>> = {},
): void {
  for (const kind of ['external NATS', 'embedded NATS'] as const) {
    describe(`${subject}, ${kind}`, { skip: skipReason(kind) }, () => {
      let deployment: Deployment | undefined
      before(async () => {
        deployment = await Deployment.start(kind, settings)
      })
      after(async () => {
        await deployment?.stop()
      })
      define(() => {
        if (deployment === undefined) throw new Error('the server did not start')
        return deployment
      })
    })
  }
}

function skipReason(kind: DeploymentKind): string | false {
  const wanted = process.env['CONFORMANCE_NATS']
  if (wanted !== undefined && !kind.startsWith(wanted)) return `CONFORMANCE_NATS=${wanted}`
  if (kind === 'external NATS' && natsServerProgram() === undefined) {
    return 'nats-server is not installed'
  }
  return false
}

/** A stream name no other test uses. */
export function freshName(): string {
  return `s-${randomUUID().slice(0, 13)}`
}

export function bytes(text: string): Buffer {
  return Buffer.from(text)
}
