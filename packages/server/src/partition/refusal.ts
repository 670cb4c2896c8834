import { AckFields, type PublishView } from '@liftbridge/wire'
import { knownPolicy, setCommit, type AckError, type AckSink, type AckSource } from './ack.ts'
import type { Arrival } from './arrival.ts'

const fields = new AckFields()

/** Answers a message that nobody takes; `offset` is 0 as in every refusal. */
export function refuse(
  source: AckSource,
  message: { readonly publish: PublishView; readonly arrival: Arrival },
  sink: AckSink,
  due: { readonly error: AckError; readonly commitNs: bigint },
): void {
  const { publish, arrival } = message
  fields.ackError = due.error
  fields.ackPolicy = knownPolicy(publish.ackPolicy)
  fields.msgSubject = arrival.subjectBytes
  fields.msgSubjectEnd = arrival.subjectBytes.length
  fields.correlationId = publish.bytes
  fields.correlationIdStart = publish.correlationIdStart
  fields.correlationIdEnd = publish.correlationIdEnd
  fields.ackInbox = publish.bytes
  fields.ackInboxStart = publish.ackInboxStart
  fields.ackInboxEnd = publish.ackInboxEnd
  setCommit(fields, due.commitNs)
  sink.deliver(source, fields)
  sink.flush()
}
