import type { Operation, OperationKind, Outcome } from '../operation.ts'
import { rejected, type Check } from '../rejection.ts'
import type { MetadataState, MetadataView } from '../state.ts'
import type { LogIndex } from '../units.ts'
import {
  changeConsumerGroupCoordinator,
  createConsumerGroup,
  joinConsumerGroup,
  leaveConsumerGroup,
} from './consumer-groups.ts'
import { createStream } from './create-stream.ts'
import { deleteStream } from './delete-stream.ts'
import { changeLeader, expandIsr, shrinkIsr } from './isr.ts'
import { pauseStream } from './pause-stream.ts'
import { publishActivity } from './publish-activity.ts'
import { resumeStream } from './resume-stream.ts'
import type { Rules } from './rules.ts'
import { setStreamReadonly } from './set-stream-readonly.ts'

/**
 * Every operation there is. A new one needs its fields in `operation.ts`, its rules in a file
 * here, a line in this table and its two conversions in `codec.ts`.
 */
const operations: { readonly [Kind in OperationKind]: Rules<Kind> } = {
  'create-stream': createStream,
  'shrink-isr': shrinkIsr,
  'expand-isr': expandIsr,
  'change-leader': changeLeader,
  'delete-stream': deleteStream,
  'pause-stream': pauseStream,
  'resume-stream': resumeStream,
  'publish-activity': publishActivity,
  'set-stream-readonly': setStreamReadonly,
  'create-consumer-group': createConsumerGroup,
  'join-consumer-group': joinConsumerGroup,
  'leave-consumer-group': leaveConsumerGroup,
  'change-consumer-group-coordinator': changeConsumerGroupCoordinator,
}

/**
 * Whether the operation would take effect now. A proposer asks in order to refuse early; what
 * counts is the same question asked again when the operation is applied.
 */
export const checkOperation = <Kind extends OperationKind>(
  state: MetadataView,
  operation: Operation<Kind>,
): Check => {
  const rules: Rules<Kind> = operations[operation.kind]
  return rules.check(state, operation)
}

/** Text that begins the INTERNAL status of an operation that could not be put into the log. */
export const failureTextOf = (kind: OperationKind): string => operations[kind].failure

/**
 * Applies the operation at `index` of the log. Total: an operation that cannot take effect changes
 * nothing but `appliedIndex`, and says why; Go Liftbridge ends every process of the cluster there,
 * and again at each restart [D-23, M7]. Indexes only go up; one already applied is inert.
 */
export const applyOperation = <Kind extends OperationKind>(
  state: MetadataState,
  operation: Operation<Kind>,
  index: LogIndex,
): Outcome => {
  if (index <= state.appliedIndex) {
    return { kind: 'inert', index, rejection: rejected('INTERNAL', 'operation already applied') }
  }
  state.appliedIndex = index
  const rules: Rules<Kind> = operations[operation.kind]
  const check = rules.check(state, operation)
  if (check.kind === 'rejected') return { kind: 'inert', index, rejection: check }
  return { kind: 'applied', index, ...rules.apply(state, operation, index) }
}
