import { encodeText, literalSubjectProblem } from '@liftbridge/wire'
import { OK, rejected, type Check } from './rejection.ts'

export const ACTIVITY_STREAM = '__activity'
export const CURSORS_STREAM = '__cursors'

/** Longest name of a load-balance group, consumer group or consumer, in bytes of UTF-8. */
const GROUP_NAME_MAX_BYTES = 255

/** Streams that only the servers create and delete. */
export const isReservedStreamName = (name: string): boolean =>
  name === ACTIVITY_STREAM || name === CURSORS_STREAM

/**
 * A stream's name is a token sequence of the subjects `<ns>.<stream>.<n>.replicate`, so it must be
 * a literal NATS subject; any such name is legal, `a/b` included, since names are encoded before
 * they reach the file system. Go Liftbridge takes any text and dies of it [A3, D-14, G15].
 */
export const checkStreamName = (name: string): Check => {
  if (name === '') return rejected('INVALID_ARGUMENT', 'Name cannot be empty')
  const problem = literalSubjectProblem(name)
  if (problem === undefined) return OK
  return rejected('INVALID_ARGUMENT', `Name is invalid: ${problem}`)
}

/** A load-balance group is a NATS queue group: one word of the protocol's line [LB 3.6.1]. */
export const checkQueueGroup = (group: string): Check => {
  if (group === '') return OK
  const problem = wordProblem(group)
  return problem === undefined ? OK : rejected('INVALID_ARGUMENT', `Group is invalid: ${problem}`)
}

/** Consumer group and consumer ids are free text, bounded because every server keeps them. */
export const checkConsumerId = (id: string, what: 'groupId' | 'consumerId'): Check => {
  if (id === '') return rejected('INVALID_ARGUMENT', `No ${what} provided`)
  const problem = lengthProblem(id)
  return problem === undefined ? OK : rejected('INVALID_ARGUMENT', `Invalid ${what}: ${problem}`)
}

const wordProblem = (text: string): string | undefined => {
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit <= 0x20 || unit === 0x7f) return 'white space or a control character'
  }
  return lengthProblem(text)
}

const lengthProblem = (text: string): string | undefined => {
  if (!text.isWellFormed()) return 'not well-formed Unicode'
  // Counted before it is encoded too, so that a huge text costs nothing.
  const long = text.length > GROUP_NAME_MAX_BYTES || encodeText(text).length > GROUP_NAME_MAX_BYTES
  return long ? `longer than ${GROUP_NAME_MAX_BYTES} bytes` : undefined
}
