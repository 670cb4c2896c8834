/** Carries out one step of a plan. */
import { BusError } from '@liftbridge/server'
import {
  api,
  create,
  decodeEnvelopeOf,
  encodeEnvelope,
  EnvelopeType,
  fromBinary,
  toBinary,
} from '@liftbridge/wire'
import type { Cluster } from '../cluster/cluster.ts'
import {
  acked,
  beginAttempt,
  DEADLINE_MS,
  fetchMetadata,
  publishAsync,
  publishUnary,
  runMetadataAction,
  settle,
  subscribe,
} from './client.ts'
import type { Nemesis } from './faults.ts'
import type { Attempt } from './history.ts'
import { isFault, stepText, type ClientAction, type Step } from './plan.ts'

/** Resolves when the step is over, for a client's step with all answers or deadlines. */
export async function runStep(cluster: Cluster, nemesis: Nemesis, step: Step): Promise<void> {
  const { action } = step
  cluster.say(stepText(step))
  if (isFault(action)) {
    nemesis.apply(action)
    return
  }
  switch (action.kind) {
    case 'create':
    case 'delete':
    case 'pause':
    case 'readonly':
      return runMetadataAction(cluster, step, action)
    case 'publish':
      return runPublish(cluster, step, action)
    case 'subscribe':
      await subscribe(cluster, step, action)
      return
    case 'metadata':
      await fetchMetadata(cluster, cluster.machine(step.via))
      return
    default:
      action satisfies never
  }
}

type Publish = Extract<ClientAction, { kind: 'publish' }>

async function runPublish(cluster: Cluster, step: Step, action: Publish): Promise<void> {
  const { count, way } = action
  const attempts: Attempt[] = []
  const begin = (index: number): Attempt => {
    const attempt = beginAttempt(cluster, step, action, index)
    attempts.push(attempt)
    return attempt
  }
  switch (way) {
    case 'serial':
      for (let index = 0; index < count; index++) {
        await publishUnary(cluster, step, begin(index))
      }
      break
    case 'unary':
      await Promise.all(
        Array.from({ length: count }, (_, index) => publishUnary(cluster, step, begin(index))),
      )
      break
    case 'async':
      await publishAsync(
        cluster,
        step,
        Array.from({ length: count }, (_, index) => begin(index)),
      )
      break
    case 'nats':
      await publishThroughNats(
        cluster,
        Array.from({ length: count }, (_, index) => begin(index)),
      )
      break
    default:
      way satisfies never
  }
  report(cluster, step, attempts)
}

function report(cluster: Cluster, step: Step, attempts: readonly Attempt[]): void {
  const counts = new Map<string, number>()
  for (const { stream, partition, outcome, offset, error } of attempts) {
    if (outcome === 'acked') cluster.noteOffset(stream, partition, offset)
    const key = error === '' ? outcome : `${outcome} (${error})`
    counts.set(key, (counts.get(key) ?? 0) + 1)
    cluster.marks.hit(`publish.${outcome}`)
  }
  const offsets = attempts.filter(({ outcome }) => outcome === 'acked').map(({ offset }) => offset)
  const range =
    offsets.length > 0 ? ` offsets ${Math.min(...offsets)}..${Math.max(...offsets)}` : ''
  cluster.say(
    `#${step.id} ${[...counts].map(([key, count]) => `${count} ${key}`).join(', ')}${range}`,
  )
}

/** As a NATS client does it: an envelope with an inbox for the ack, at most once, no retry. */
async function publishThroughNats(cluster: Cluster, attempts: readonly Attempt[]): Promise<void> {
  const bus = await cluster.clientBus()
  const inbox = `clients.${cluster.random.of('client inbox').id()}`
  const open = new Map(attempts.map((attempt) => [attempt.value, attempt]))
  const { promise, resolve } = Promise.withResolvers<void>()
  const subscription = bus.subscribe(inbox, ({ data }) => {
    const envelope = decodeEnvelopeOf(EnvelopeType.Ack, data)
    if (envelope.kind !== 'envelope') return
    const ack = fromBinary(api.AckSchema, data.subarray(envelope.payloadStart))
    const attempt = open.get(ack.correlationId)
    if (attempt === undefined) return
    open.delete(ack.correlationId)
    acked(cluster, attempt, ack)
    if (open.size === 0) resolve()
  })
  try {
    for (const attempt of attempts) bus.publish(subjectOf(attempt), envelopeOf(attempt, inbox))
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    resolve()
  }
  const deadline = cluster.scheduler.after(DEADLINE_MS * 1_000, 'client deadline', resolve)
  await promise
  deadline.cancel()
  subscription.unsubscribe()
  for (const attempt of open.values()) settle(cluster, attempt, 'unknown', 'no ack')
}

function subjectOf({ stream, partition }: Attempt): string {
  return partition === 0 ? stream : `${stream}.${partition}`
}

function envelopeOf(attempt: Attempt, ackInbox: string): Uint8Array {
  const policies = { leader: 0, all: 1, none: 2 } as const
  const message = create(api.MessageSchema, {
    value: Buffer.from(attempt.value),
    stream: attempt.stream,
    subject: subjectOf(attempt),
    ackInbox,
    correlationId: attempt.value,
    ackPolicy: policies[attempt.policy],
  })
  return encodeEnvelope(EnvelopeType.Publish, toBinary(api.MessageSchema, message))
}
