/**
 * Publish and PublishToSubject, one message each. Without a deadline, or with AckPolicy NONE,
 * nobody waits: the answer is empty and immediate [LB data plane 5.8, clients 2.0.3].
 */
import type { ServerCall } from '@liftbridge/grpc'
import {
  api,
  create,
  decodePublishRequest,
  decodePublishToSubject,
  decodeText,
  fromBinary,
  literalSubjectProblem,
  overlapsReserved,
  PublishEnvelopeWriter,
  PublishView,
  targetSubjectProblem,
  toBinary,
  ENVELOPE_HEADER_BYTES,
} from '@liftbridge/wire'
import type { AckFields } from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'
import {
  knownPolicy,
  POLICY_NONE,
  wireError,
  type AckSink,
  type AckSource,
} from '../partition/ack.ts'
import type { ApiContext } from './context.ts'
import { errorOfAck } from './publish-answers.ts'
import { asLiftbridgeError, checkHeaders } from './publish-session.ts'
import { decodeAck } from './remote-acks.ts'
import {
  checkPublishable,
  findTarget,
  isDown,
  needsResume,
  resume,
  type Target,
} from './targets.ts'

/** A change of leaders takes a few milliseconds here; a client may as well look again. */
const SETTLE_MS = 500
const EMPTY_RESPONSE = new Uint8Array(0)

type Answer = { readonly ack: api.Ack; readonly error: LiftbridgeError | undefined }

/** Waits for the first ack of one message; also passes it on to the client's own inbox. */
class FirstAck implements AckSink {
  readonly ack: Promise<Answer>
  readonly #forward: AckSink | undefined
  #resolve: (answer: Answer) => void = () => undefined

  /** `forward` answers the inbox that the client named itself. */
  constructor(forward: AckSink | undefined) {
    this.#forward = forward
    this.ack = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  deliver(source: AckSource, fields: AckFields): void {
    const { ackError } = fields
    this.#forward?.deliver(source, fields)
    fields.ackError = wireError(ackError)
    const envelope = new Uint8Array(source.envelopes.size(fields))
    source.envelopes.write(envelope, 0, fields)
    const ack = fromBinary(api.AckSchema, envelope.subarray(ENVELOPE_HEADER_BYTES))
    this.#resolve({ ack, error: errorOfAck(ackError, source.partition) })
  }

  flush(): void {
    this.#forward?.flush()
  }

  /** An ack that came through NATS. */
  resolve(ack: api.Ack): void {
    this.#resolve({ ack, error: errorOfAck(wireError(ack.ackError)) })
  }
}

export async function publish(
  context: ApiContext,
  request: Uint8Array,
  call: ServerCall,
): Promise<Uint8Array> {
  const view = decode(decodePublishRequest, request)
  const streamName = decodeText(view.bytes, view.streamStart, view.streamEnd)
  if (streamName === '') throw new LiftbridgeError('publish.no-stream')
  let target = findTarget(context, streamName, view.partition)
  checkPublishable(target, view.ackPolicy)
  checkHeaders(view)
  const inbox = clientInbox(context, view)
  if (needsResume(target)) {
    await resume(context, streamName, view.partition)
    target = findTarget(context, streamName, view.partition)
  }
  if (isDown(context, target)) {
    // A leader that was just elected is there in a moment.
    await context.leaders.settled(streamName, view.partition, SETTLE_MS)
    target = findTarget(context, streamName, view.partition)
  }
  if (isDown(context, target)) {
    throw new LiftbridgeError('partition.unavailable', {
      stream: streamName,
      partition: view.partition,
    })
  }
  const waits = knownPolicy(view.ackPolicy) !== POLICY_NONE && call.deadlineMs !== undefined
  const natsAcks = inbox === '' ? undefined : context.natsAcks
  if (!waits) {
    send(context, target, { view, sink: natsAcks, ackInbox: undefined })
    return EMPTY_RESPONSE
  }
  const { ack, error } = await publishAndWait(context, target, { view, inbox, call })
  if (error) throw error
  return toBinary(api.PublishResponseSchema, create(api.PublishResponseSchema, { ack }))
}

/** One message to a literal subject, for whatever streams listen to it: the first ack wins. */
export async function publishToSubject(
  context: ApiContext,
  request: Uint8Array,
  call: ServerCall,
): Promise<Uint8Array> {
  const view = decode(decodePublishToSubject, request)
  const subject = decodeText(view.bytes, view.subjectStart, view.subjectEnd)
  if (literalSubjectProblem(subject) !== undefined) throw new LiftbridgeError('subject.invalid')
  if (overlapsReserved(context.subjects.namespace, subject)) {
    throw new LiftbridgeError('subject.reserved', { subject })
  }
  checkHeaders(view)
  const inbox = clientInbox(context, view)
  const target = {
    route: context.router.routeOf(subject),
    envelopes: new PublishEnvelopeWriter('', subject),
    local: undefined,
  }
  const natsAcks = inbox === '' ? undefined : context.natsAcks
  const waits = knownPolicy(view.ackPolicy) !== POLICY_NONE && call.deadlineMs !== undefined
  if (!waits) {
    send(context, target, { view, sink: natsAcks, ackInbox: undefined })
    return EMPTY_RESPONSE
  }
  const { ack } = await publishAndWait(context, target, { view, inbox, call })
  return toBinary(
    api.PublishToSubjectResponseSchema,
    create(api.PublishToSubjectResponseSchema, { ack }),
  )
}

type Way = Pick<Target, 'route' | 'envelopes' | 'local'> & { readonly stream?: { name: string } }

/** Resolves with the first ack that is this message's; rejects at the deadline of the call. */
async function publishAndWait(
  context: ApiContext,
  way: Way,
  message: { readonly view: PublishView; readonly inbox: string; readonly call: ServerCall },
): Promise<Answer> {
  const { view, call } = message
  const first = new FirstAck(message.inbox === '' ? undefined : context.natsAcks)
  const inbox = message.inbox || context.subjects.ackInbox(context.random.id())
  const ackInbox = Buffer.from(inbox)
  // The partition copies the inbox into its ack, as the original does.
  useInbox(view, ackInbox)
  const throughNats = way.route.grouped || answersElsewhere(way)
  const correlationId = decodeText(view.bytes, view.correlationIdStart, view.correlationIdEnd)
  const subscription = throughNats
    ? context.publishes.subscribe(inbox, ({ data }) => {
        const ack = decodeAck(data)
        // A client may use one inbox for many publishes at a time.
        if (ack?.correlationId !== correlationId) return
        if (way.stream === undefined || ack.stream === way.stream.name) first.resolve(ack)
      })
    : undefined
  try {
    send(context, way, { view, sink: first, ackInbox })
    return await untilOver(first.ack, call.signal)
  } finally {
    subscription?.unsubscribe()
  }
}

/** True when the partition that answers is not led here. */
function answersElsewhere(way: Way): boolean {
  return way.stream === undefined ? way.route.local.length === 0 : way.local === undefined
}

function send(
  context: ApiContext,
  way: Way,
  message: {
    readonly view: PublishView
    readonly sink: AckSink | undefined
    readonly ackInbox: Uint8Array | undefined
  },
): void {
  const { view, sink, ackInbox } = message
  const { route, envelopes } = way
  try {
    if (route.grouped || answersElsewhere(way)) {
      context.router.publishThroughNats(route.subject, view, envelopes, ackInbox)
      return
    }
    context.router.publish(way, view, sink)
    context.router.kick()
  } catch (error) {
    throw asLiftbridgeError(error)
  }
}

function decode(
  read: (view: PublishView, bytes: Uint8Array) => boolean,
  request: Uint8Array,
): PublishView {
  const view = new PublishView()
  if (read(view, request)) return view
  throw new LiftbridgeError('request.malformed', { reason: view.problem })
}

/** The ack inbox the client asked for, empty for none; it must be harmless [reliability A4]. */
function clientInbox(context: ApiContext, view: PublishView): string {
  const inbox = decodeText(view.bytes, view.ackInboxStart, view.ackInboxEnd)
  if (inbox === '') return ''
  const reason = targetSubjectProblem(context.subjects.namespace, inbox)
  if (reason !== undefined) throw new LiftbridgeError('inbox.invalid', { inbox, reason })
  return inbox
}

/** Appends the inbox to the request's bytes, where the view can point at it. */
function useInbox(view: PublishView, inbox: Uint8Array): void {
  const start = view.bytes.length
  view.bytes = Buffer.concat([view.bytes, inbox])
  view.headers.bytes = view.bytes
  view.ackInboxStart = start
  view.ackInboxEnd = start + inbox.length
}

function untilOver<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const over = (): void => reject(new LiftbridgeError('deadline'))
    if (signal.aborted) return over()
    signal.addEventListener('abort', over, { once: true })
    void promise.then((value) => {
      signal.removeEventListener('abort', over)
      resolve(value)
    })
    return undefined
  })
}
