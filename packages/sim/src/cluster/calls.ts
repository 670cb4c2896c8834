/**
 * Calls of the API as a client makes them, without sockets: requests and answers are the encoded
 * messages, hops take time, and a dead server's calls end as those of a broken connection do.
 */
import { GrpcError, GrpcStatus, Metadata, type MessageChunk } from '@liftbridge/grpc'
import type { Method, ResponseStream, ServerCall } from '@liftbridge/grpc'
import type { SimProcess } from '../world/sim-process.ts'
import type { Scheduler } from '../world/scheduler.ts'

export type CallResult<Value> =
  | { readonly kind: 'ok'; readonly value: Value }
  | { readonly kind: 'error'; readonly code: GrpcStatus; readonly text: string }

/** Where calls go: a running server, as far as the client can tell. */
export interface CallTarget {
  readonly name: string
  readonly process: SimProcess
  /** Undefined when nobody listens. */
  method(name: string): Method | undefined
}

export interface CallWorld {
  readonly scheduler: Scheduler
  /** A hop between client and server, microseconds. */
  hopUs(): number
}

export interface CallOptions {
  readonly name: string
  readonly deadlineMs: number
}

const PEER = { address: '10.0.0.9', port: 40_000, encrypted: false, certificate: undefined }

/** By world: the calls that a handler has been given. */
const calls = new WeakMap<CallWorld, Set<SimCall>>()

/**
 * Ends what a world's handlers wait for. Those of a server that was killed wait for ever, and the
 * runtime keeps whoever listens to a signal made of others, and so the whole world with them.
 */
export function endCalls(world: CallWorld): void {
  for (const call of calls.get(world) ?? []) call.abort(GrpcStatus.CANCELLED, 'the run is over')
  calls.delete(world)
}

/** The server's side of one simulated call. */
class SimCall implements ServerCall {
  readonly path: string
  readonly metadata = new Metadata()
  readonly responseMetadata = new Metadata()
  readonly trailers = new Metadata()
  readonly peer = PEER
  compressResponses = false
  readonly #abort = new AbortController()
  readonly #world: CallWorld
  readonly #endsUs: number

  constructor(world: CallWorld, path: string, deadlineMs: number) {
    this.path = path
    this.#world = world
    this.#endsUs = world.scheduler.nowUs + deadlineMs * 1_000
    const known = calls.get(world) ?? new Set()
    calls.set(world, known.add(this))
  }

  get deadlineMs(): number {
    return this.#endsUs / 1_000
  }

  get remainingMs(): number {
    return Math.max(0, (this.#endsUs - this.#world.scheduler.nowUs) / 1_000)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  abort(code: GrpcStatus, text: string): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(new GrpcError(code, text))
  }
}

/** One unary call. Never rejects. */
export function callUnary(
  world: CallWorld,
  target: CallTarget,
  request: Uint8Array,
  options: CallOptions,
): Promise<CallResult<Uint8Array>> {
  return startCall(world, { target, options }, (method, call) => {
    if (method.kind !== 'unary') throw new Error(`${options.name} is not unary`)
    return method.handle(request, call)
  })
}

/** What a streaming call does with its frames. */
export interface StreamHandlers {
  /** Whole messages without their prefix, in order, at the client. */
  readonly onMessage: (message: Uint8Array) => void
}

export interface StreamCall {
  /** Resolves when the call is over. */
  readonly ended: Promise<CallResult<void>>
  cancel(): void
}

/** A call that streams answers. */
export function callServerStream(
  world: CallWorld,
  target: CallTarget,
  request: Uint8Array,
  options: CallOptions & StreamHandlers,
): StreamCall {
  let cancel: () => void = () => undefined
  const responses = new SimResponses(world, target, options.onMessage)
  const handle = (method: Method, call: SimCall): Promise<void> => {
    if (method.kind !== 'server-stream') throw new Error(`${options.name} streams no answers`)
    cancel = () => call.abort(GrpcStatus.CANCELLED, 'cancelled by the client')
    return method.handle(request, call, responses)
  }
  const ended = startCall(world, { target, options, responses }, handle)
  return { ended, cancel: () => cancel() }
}

/** A call that streams both ways. */
export interface BidiCall extends StreamCall {
  /** Sends messages that arrive together. */
  send(messages: readonly Uint8Array[]): void
  /** No more messages. */
  end(): void
}

export function callBidi(
  world: CallWorld,
  target: CallTarget,
  options: CallOptions & StreamHandlers,
): BidiCall {
  let cancel: () => void = () => undefined
  const requests = new RequestQueue()
  const responses = new SimResponses(world, target, options.onMessage)
  const handle = (method: Method, call: SimCall): Promise<void> => {
    if (method.kind !== 'bidi') throw new Error(`${options.name} does not stream both ways`)
    cancel = () => {
      call.abort(GrpcStatus.CANCELLED, 'cancelled by the client')
      requests.end()
    }
    call.signal.addEventListener('abort', () => requests.end())
    return method.handle(call, requests, responses)
  }
  const ended = startCall(world, { target, options, responses }, handle)
  // The hop of the call's own start comes first, so that messages never overtake it.
  let lastUs = 0
  const later = (run: () => void): void => {
    const { scheduler } = world
    lastUs = Math.max(lastUs, scheduler.nowUs + world.hopUs())
    target.process.after(lastUs - scheduler.nowUs, 'call message', run)
  }
  return {
    ended,
    cancel: () => cancel(),
    send: (messages) => later(() => requests.push(chunkOf(messages))),
    end: () => later(() => requests.end()),
  }
}

function startCall<Value>(
  world: CallWorld,
  way: {
    readonly target: CallTarget
    readonly options: CallOptions
    readonly responses?: SimResponses
  },
  handle: (method: Method, call: SimCall) => Promise<Value>,
): Promise<CallResult<Value>> {
  const { target, options, responses } = way
  const { scheduler } = world
  return new Promise((resolve) => {
    let over = false
    const call = new SimCall(world, `/proto.API/${options.name}`, options.deadlineMs)
    const finish = (result: CallResult<Value>): void => {
      if (over) return
      over = true
      deadline.cancel()
      resolve(result)
    }
    const fail = (code: GrpcStatus, text: string): void => finish({ kind: 'error', code, text })
    const deadline = scheduler.after(options.deadlineMs * 1_000, 'call deadline', () => {
      fail(GrpcStatus.DEADLINE_EXCEEDED, 'deadline')
      target.process.after(world.hopUs(), 'call abort', () => {
        call.abort(GrpcStatus.DEADLINE_EXCEEDED, 'deadline')
      })
    })
    if (!target.process.alive) {
      scheduler.after(world.hopUs(), 'call refused', () => {
        fail(GrpcStatus.UNAVAILABLE, 'connection refused')
      })
      return
    }
    target.process.onEnd(() => {
      scheduler.after(world.hopUs(), 'call broken', () => {
        fail(GrpcStatus.UNAVAILABLE, 'connection reset')
      })
    })
    const answer = (result: CallResult<Value>): void => {
      target.process.after(0, 'call answer', () => {
        // The status comes behind all messages.
        const behindUs = (responses?.lastUs ?? 0) - scheduler.nowUs
        scheduler.after(Math.max(world.hopUs(), behindUs), 'call answered', () => finish(result))
      })
    }
    target.process.after(world.hopUs(), 'call', () => {
      const method = target.method(options.name)
      if (method === undefined) {
        answer({ kind: 'error', code: GrpcStatus.UNAVAILABLE, text: 'nobody listens' })
        return
      }
      void handle(method, call).then(
        (value) => answer({ kind: 'ok', value }),
        (error: unknown) => answer(asResult(error)),
      )
    })
  })
}

/** What gRPC makes of what a handler threw. */
function asResult(error: unknown): CallResult<never> {
  if (error instanceof GrpcError) return { kind: 'error', code: error.code, text: error.message }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { kind: 'error', code: GrpcStatus.INTERNAL, text: `handler failed: ${text}` }
}

/** Frames on their way to the client, which reads as fast as it comes. */
class SimResponses implements ResponseStream {
  readonly #world: CallWorld
  readonly #target: CallTarget
  readonly #onMessage: (message: Uint8Array) => void
  /** When the last of them arrives. */
  lastUs = 0
  #backlogBytes = 0
  #waiting: (() => void)[] = []

  constructor(world: CallWorld, target: CallTarget, onMessage: (message: Uint8Array) => void) {
    this.#world = world
    this.#target = target
    this.#onMessage = onMessage
  }

  get backlogBytes(): number {
    return this.#backlogBytes
  }

  sendHeaders(): void {
    // Nobody waits for them here.
  }

  write(frames: Uint8Array, sent?: () => void): boolean {
    const { scheduler } = this.#world
    // A Buffer slices into views; the server fills its own again.
    const copy = new Uint8Array(frames)
    this.#backlogBytes += copy.length
    this.lastUs = Math.max(this.lastUs, scheduler.nowUs + this.#world.hopUs())
    scheduler.after(this.lastUs - scheduler.nowUs, 'call frames', () => this.#arrive(copy))
    this.#target.process.after(0, 'call sent', () => {
      this.#backlogBytes -= copy.length
      sent?.()
      for (const resolve of this.#waiting.splice(0)) resolve()
    })
    return this.#backlogBytes < 64 * 1_024
  }

  drained(): Promise<void> {
    if (this.#backlogBytes < 64 * 1_024) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #arrive(frames: Uint8Array): void {
    const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength)
    for (let at = 0; at < frames.length;) {
      const end = at + 5 + view.getUint32(at + 1)
      this.#onMessage(frames.subarray(at + 5, end))
      at = end
    }
  }
}

/** Requests of a streaming call, as the server reads them. */
class RequestQueue implements AsyncIterable<MessageChunk> {
  readonly #chunks: MessageChunk[] = []
  #ended = false
  #wake: (() => void) | undefined

  push(chunk: MessageChunk): void {
    this.#chunks.push(chunk)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MessageChunk> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk) {
        yield chunk
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

function chunkOf(messages: readonly Uint8Array[]): MessageChunk {
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const message of messages) {
    starts.push(at)
    at += message.length
    ends.push(at)
  }
  return { bytes: Buffer.concat(messages), count: messages.length, starts, ends }
}
