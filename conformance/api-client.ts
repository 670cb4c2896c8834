/**
 * A third-party client: @grpc/grpc-js with our .proto, so that what the suites see went through
 * gRPC code that is not ours.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  Client,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type {
  Message,
  PublishRequest,
  PublishResponse,
  SubscribeRequest,
  UnaryMethods,
} from './api-types.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const definitions = loadSync(join(root, 'packages/wire/proto/api.proto'), {
  longs: String,
  enums: String,
  defaults: true,
})

/** A call's outcome: its status, and the response when that status is OK. */
export type Outcome<T> = {
  readonly code: string
  readonly details: string
  readonly response: T | undefined
}

export type CallOptions = { readonly deadlineMs?: number }

/** The deadline of calls that must not hang a test; long, so that no busy machine meets it. */
const PATIENT_MS = 15_000

function methodOf(name: string): MethodDefinition<object, object> {
  const service = definitions['proto.API']
  if (service === undefined) throw new Error('api.proto has no service proto.API')
  const methods = service as unknown as Readonly<Record<string, MethodDefinition<object, object>>>
  const method = methods[name]
  if (method === undefined) throw new Error(`api.proto has no method ${name}`)
  return method
}

export function codeName(code: number): string {
  return status[code] ?? `CODE_${code}`
}

export class ApiClient {
  readonly #client: Client

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      // What a test sends must reach the server, whose own limit is the one under test.
      'grpc.max_send_message_length': -1,
      'grpc.max_receive_message_length': -1,
    })
  }

  close(): void {
    this.#client.close()
  }

  /** Calls with a deadline; the outcome is a value, so that a test states the status it expects. */
  call<M extends keyof UnaryMethods>(
    method: M,
    request: UnaryMethods[M][0],
    options: CallOptions = {},
  ): Promise<Outcome<UnaryMethods[M][1]>> {
    return this.#unary(method, request, {
      deadline: Date.now() + (options.deadlineMs ?? PATIENT_MS),
    })
  }

  /** Calls without a deadline, which sends no `grpc-timeout`. */
  callWithoutDeadline<M extends keyof UnaryMethods>(
    method: M,
    request: UnaryMethods[M][0],
  ): Promise<Outcome<UnaryMethods[M][1]>> {
    return this.#unary(method, request, {})
  }

  /** As `call`, but anything other than OK throws. For the steps that only prepare a test. */
  async ok<M extends keyof UnaryMethods>(
    method: M,
    request: UnaryMethods[M][0],
    options: CallOptions = {},
  ): Promise<UnaryMethods[M][1]> {
    const outcome = await this.call(method, request, options)
    if (outcome.response === undefined) {
      throw new Error(`${method} ${JSON.stringify(request)}: ${outcome.code} ${outcome.details}`)
    }
    return outcome.response
  }

  /** Sends any bytes to any path: unknown methods, requests that are no protobuf. */
  raw(path: string, payload: Buffer): Promise<Outcome<Buffer>> {
    return new Promise((resolve) => {
      const same = (bytes: Buffer): Buffer => bytes
      const options = { deadline: Date.now() + PATIENT_MS }
      this.#client.makeUnaryRequest(path, same, same, payload, options, settle(resolve))
    })
  }

  subscribe(request: SubscribeRequest): ClientReadableStream<Message> {
    const method = methodOf('Subscribe')
    return this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize as (bytes: Buffer) => Message,
      request,
      {},
    )
  }

  publishAsync(): ClientDuplexStream<PublishRequest, PublishResponse> {
    const method = methodOf('PublishAsync')
    return this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize as (request: PublishRequest) => Buffer,
      method.responseDeserialize as (bytes: Buffer) => PublishResponse,
      {},
    )
  }

  #unary<M extends keyof UnaryMethods>(
    name: M,
    request: UnaryMethods[M][0],
    options: { deadline?: number },
  ): Promise<Outcome<UnaryMethods[M][1]>> {
    const method = methodOf(name)
    const deserialize = method.responseDeserialize as (bytes: Buffer) => UnaryMethods[M][1]
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        deserialize,
        request,
        options,
        settle(resolve),
      )
    })
  }
}

function settle<T>(
  resolve: (outcome: Outcome<T>) => void,
): (error: ServiceError | null, response?: T) => void {
  return (error, response) => {
    if (error === null) resolve({ code: 'OK', details: '', response })
    else resolve({ code: codeName(error.code), details: error.details, response: undefined })
  }
}
