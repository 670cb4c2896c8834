/**
 * One PublishAsync call. Requests are read chunk by chunk; each message is handed to its partition
 * while its bytes still lie in the receive buffer, and acks come back in runs that go out with one
 * write. Errors of single messages are told in-band; the call itself ends only when the client
 * ends it, or when a request is not protobuf at all [LB data plane 5.9, clients 2.0.8].
 *
 * The client is not read while a partition it writes to is congested, while its acks do not drain,
 * or while too many of its messages are in flight: HTTP/2 flow control then holds it.
 */
import { type MessageChunk, type ResponseStream, type ServerCall } from '@liftbridge/grpc'
import { decodePublishRequest, decodeText, PublishView } from '@liftbridge/wire'
import type { AckFields } from '@liftbridge/wire'
import { BusError } from '../bus.ts'
import { PUBLISH_DRAIN_MS, PUBLISH_IN_FLIGHT_MAX } from '../config/limits.ts'
import { LiftbridgeError } from '../errors.ts'
import { knownPolicy, POLICY_NONE, type AckSink, type AckSource } from '../partition/ack.ts'
import { headersProblem } from '../partition/stored-headers.ts'
import { AckFrames } from './ack-frames.ts'
import type { ApiContext } from './context.ts'
import { asyncErrorFrame, errorOfAck } from './publish-answers.ts'
import { RemoteAcks } from './remote-acks.ts'
import {
  checkPublishable,
  findTarget,
  isCurrent,
  isDown,
  needsResume,
  resume,
  type Target,
} from './targets.ts'

/** With no more messages in flight than these a client waits for each: it is answered at once. */
const KICK_AT_ONCE_MAX = 4

export class PublishSession implements AckSink {
  readonly #context: ApiContext
  readonly #responses: ResponseStream
  readonly #signal: AbortSignal
  readonly #view = new PublishView()
  readonly #inbox: Uint8Array
  readonly #remote: RemoteAcks
  /** Partitions that took messages of the chunk at hand; few. */
  readonly #partitions = new Set<NonNullable<Target['local']>>()
  #target: Target | undefined
  #targetName: Uint8Array = new Uint8Array(0)
  readonly #answers: AckFrames
  /** The call is over: acks that still come are dropped. */
  #over = false
  /** Messages taken by partitions here and not answered yet. */
  #inFlight = 0
  /**
   * Messages sent through NATS and not answered yet. They only delay the end of the call: such an
   * ack can be lost, so nothing may wait for it for good.
   */
  #inFlightRemote = 0
  /**
   * Subjects whose messages went through NATS and may still be on their way. Those that follow take
   * the same way, also when their partition has come to be led here meanwhile: straight to the
   * partition they would overtake [reliability O3].
   */
  readonly #throughNats = new Set<string>()
  /** A message without ack went through NATS: nobody will ever tell that it has arrived. */
  #unansweredRemote = false
  /** The writes of what was taken will be started at the end of this turn. */
  #kickQueued = false
  #wake: (() => void) | undefined
  #wakeReader: (() => void) | undefined

  constructor(context: ApiContext, call: ServerCall, responses: ResponseStream) {
    this.#context = context
    this.#responses = responses
    this.#answers = new AckFrames(responses)
    this.#signal = call.signal
    const inbox = context.subjects.ackInbox(context.random.id())
    this.#inbox = Buffer.from(inbox)
    this.#remote = new RemoteAcks(context, (frame) => this.#sendRemote(frame))
    call.signal.addEventListener('abort', () => this.#wake?.())
  }

  /** Serves the call until the client half-closes and its acks have gone out. */
  async run(requests: AsyncIterable<MessageChunk>): Promise<void> {
    this.#responses.sendHeaders()
    const { stopping } = this.#context
    const onStopping = (): void => this.#wakeReader?.()
    stopping.addEventListener('abort', onStopping)
    const chunks = requests[Symbol.asyncIterator]()
    try {
      while (!stopping.aborted) {
        const next = await this.#nextChunk(chunks)
        if (next === undefined || next.done === true) break
        await this.#takeChunk(next.value)
      }
      await this.#drain()
      if (stopping.aborted) throw new LiftbridgeError('server.stopping')
    } finally {
      stopping.removeEventListener('abort', onStopping)
      this.#over = true
      this.#remote.close()
      this.#answers.close()
    }
  }

  /** The next chunk of requests; undefined when the server begins to stop. */
  #nextChunk(
    chunks: AsyncIterator<MessageChunk>,
  ): Promise<IteratorResult<MessageChunk> | undefined> {
    return new Promise((resolve, reject) => {
      this.#wakeReader = () => resolve(undefined)
      chunks.next().then(resolve, reject)
    })
  }

  async #takeChunk(chunk: MessageChunk): Promise<void> {
    try {
      for (let index = 0; index < chunk.count; index++) {
        const start = chunk.starts[index] as number
        const resumed = this.#take(chunk.bytes, start, chunk.ends[index] as number)
        if (resumed) await resumed
      }
    } finally {
      // What came before a request that ends the call is written all the same.
      this.#kick()
    }
    await this.#pace()
  }

  deliver(source: AckSource, ack: AckFields): void {
    if (this.#over) return
    if (ack.ackPolicy !== POLICY_NONE) this.#inFlight--
    if (ack.ackError !== 0) {
      const error =
        errorOfAck(ack.ackError, source.partition) ?? new LiftbridgeError('publish.failed')
      const { correlationId, correlationIdStart, correlationIdEnd } = ack
      const id = decodeText(correlationId, correlationIdStart, correlationIdEnd)
      this.#answers.addFrame(asyncErrorFrame(error, id))
      return
    }
    // The inbox of the session stands in every ack, whatever the client asked for.
    ack.ackInbox = this.#inbox
    ack.ackInboxStart = 0
    ack.ackInboxEnd = this.#inbox.length
    this.#answers.addAck(source, ack)
  }

  flush(): void {
    if (this.#over) return
    this.#answers.flush(this.#inFlight === 0)
    if (this.#wake && this.#inFlight <= PUBLISH_IN_FLIGHT_MAX / 2) this.#wake()
  }

  /** A promise only when the message has to wait for its partition to resume. */
  #take(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    const view = this.#view
    this.#decode(bytes, start, end)
    try {
      const target = this.#targetOf(view)
      checkPublishable(target, view.ackPolicy)
      if (view.headers.count > 0) checkHeaders(view)
      if (needsResume(target)) return this.#takeAfterResume(target, { bytes, start, end })
      this.#publish(target)
    } catch (error) {
      this.#refuse(error)
    }
    return undefined
  }

  #decode(bytes: Uint8Array, start: number, end: number): void {
    const view = this.#view
    if (!decodePublishRequest(view, bytes, start, end)) {
      throw new LiftbridgeError('request.malformed', { reason: view.problem })
    }
    // The client's inbox is not used on this call: its acks come back on the call itself.
    view.ackInboxEnd = view.ackInboxStart
  }

  async #takeAfterResume(
    target: Target,
    at: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
  ): Promise<void> {
    try {
      this.#context.router.kick()
      await resume(this.#context, target.stream.name, target.partition.id)
      this.#decode(at.bytes, at.start, at.end)
      this.#publish(findTarget(this.#context, target.stream.name, target.partition.id))
    } catch (error) {
      this.#decode(at.bytes, at.start, at.end)
      this.#refuse(error)
    }
  }

  #publish(target: Target): void {
    const view = this.#view
    const { local, route, envelopes } = target
    if (isDown(this.#context, target)) {
      throw new LiftbridgeError('partition.unavailable', {
        stream: target.stream.name,
        partition: target.partition.id,
      })
    }
    const counts = knownPolicy(view.ackPolicy) !== POLICY_NONE
    if (route.grouped || !local || this.#throughNats.has(route.subject)) {
      const inbox = this.#remote.inboxFor(target.stream.name, counts)
      this.#context.router.publishThroughNats(route.subject, view, envelopes, inbox)
      this.#throughNats.add(route.subject)
      if (counts) this.#inFlightRemote++
      else this.#unansweredRemote = true
      return
    }
    // Counted first: a refusal is delivered from within `publish`.
    if (counts) this.#inFlight++
    try {
      this.#context.router.publish(target, view, this)
    } catch (error) {
      if (counts) this.#inFlight--
      throw error
    }
    this.#partitions.add(local)
  }

  /** Most messages of a call go where the one before went: that costs one comparison of bytes. */
  #targetOf(view: PublishView): Target {
    const known = this.#target
    if (
      known &&
      view.partition === known.partition.id &&
      sameBytes(this.#targetName, view) &&
      isCurrent(this.#context, known)
    ) {
      return known
    }
    const name = decodeText(view.bytes, view.streamStart, view.streamEnd)
    const target = findTarget(this.#context, name, view.partition)
    // A partition that is being opened comes up without a change of metadata or routes, so that
    // it is down is not remembered.
    this.#target = isDown(this.#context, target) ? undefined : target
    this.#targetName = Buffer.from(name)
    return target
  }

  #refuse(cause: unknown): void {
    const view = this.#view
    const error = asLiftbridgeError(cause)
    const id = decodeText(view.bytes, view.correlationIdStart, view.correlationIdEnd)
    this.#answers.addFrame(asyncErrorFrame(error, id))
    this.flush()
  }

  #sendRemote(frame: Uint8Array): void {
    // An ack may come twice, or from nobody we asked.
    this.#inFlightRemote = Math.max(0, this.#inFlightRemote - 1)
    if (this.#inFlightRemote === 0 && !this.#unansweredRemote) this.#throughNats.clear()
    this.#answers.addFrame(frame)
    this.flush()
  }

  /**
   * One read of the socket brings many DATA frames, each with its own chunk of a few messages, when
   * a client has a window to fill. They are written together at the end of the turn: the price of a
   * write, and of the ack that follows, is mostly that of the call. A lone message is not held.
   */
  #kick(): void {
    const { clock, router } = this.#context
    if (this.#kickQueued) return
    if (this.#inFlight <= KICK_AT_ONCE_MAX || clock.soon === undefined) {
      router.kick()
      return
    }
    this.#kickQueued = true
    clock.soon(() => {
      this.#kickQueued = false
      router.kick()
    })
  }

  async #pace(): Promise<void> {
    await this.#answers.drained()
    if (this.#context.router.congested) await this.#context.router.drained()
    for (const partition of this.#partitions) {
      if (partition.congested) await partition.drained()
    }
    // A call may live for months, and partitions close and open again meanwhile.
    this.#partitions.clear()
    if (this.#inFlight > PUBLISH_IN_FLIGHT_MAX) await this.#whenWoken(PUBLISH_DRAIN_MS)
  }

  /** Waits a while for the acks that are still due. */
  async #drain(): Promise<void> {
    const until = this.#context.clock.monotonicMs() + PUBLISH_DRAIN_MS
    while (this.#inFlight + this.#inFlightRemote > 0 && !this.#signal.aborted) {
      const left = until - this.#context.clock.monotonicMs()
      if (left <= 0) return
      await this.#whenWoken(left)
    }
  }

  #whenWoken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.#wake = undefined
        resolve()
      }
      const timer = this.#context.clock.after(timeoutMs, done)
      this.#wake = done
      if (this.#signal.aborted) done()
    })
  }
}

export function checkHeaders(view: PublishView): void {
  const reason = headersProblem(view)
  if (reason !== undefined) throw new LiftbridgeError('publish.headers', { reason })
}

/** A failure of NATS in the words of the Go client; anything unexpected goes on. */
export function asLiftbridgeError(error: unknown): LiftbridgeError {
  if (error instanceof LiftbridgeError) return error
  if (!(error instanceof BusError)) throw error
  const reason =
    error.code === 'disconnected' ? 'nats: outbound buffer limit exceeded' : error.message
  return new LiftbridgeError('publish.nats', { reason }, { cause: error })
}

function sameBytes(name: Uint8Array, view: PublishView): boolean {
  const { bytes, streamStart, streamEnd } = view
  if (streamEnd - streamStart !== name.length) return false
  for (let index = 0; index < name.length; index++) {
    if (bytes[streamStart + index] !== name[index]) return false
  }
  return true
}
