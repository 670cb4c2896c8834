/**
 * Writes the tables of `docs/errors.md` from the code that answers clients: the server's error
 * table, what package `metadata` rejects (asked with a request for each rejection), and how the
 * errors of single messages are told in acks and on PublishAsync.
 *
 *     node --conditions=source scripts/error-docs.ts           rewrites the parts between the markers
 *     node --conditions=source scripts/error-docs.ts --check   writes nothing; fails when the page is stale
 */
import { api, fromBinary } from '@liftbridge/wire'
import { asyncErrorFrame, errorOfAck } from '../packages/server/src/api/publish-answers.ts'
import { type ErrorCode, errorTable, LiftbridgeError } from '../packages/server/src/errors.ts'
import { rejectionCases } from './rejection-cases.ts'
import { generatedPage, runGenerator, table, type GeneratedPage } from './generated-page.ts'

const codes = Object.keys(errorTable) as ErrorCode[]

export const errorsPage: GeneratedPage = generatedPage('docs/errors.md', 'error-docs.ts', () => ({
  metadata: metadataPart(),
  acks: acksPart(),
  async: asyncPart(),
  codes: codesPart(),
}))

function codesPart(): string {
  const rows = codes.map((code) => {
    const { status, text, meaning } = errorTable[code]
    return [`\`${code}\``, status, `\`${text}\``, meaning]
  })
  return table(['code', 'status', 'text', 'meaning and way out'], rows)
}

function metadataPart(): string {
  const rows = rejectionCases.map(({ call, meaning, provoke }) => {
    const answer = provoke()
    if (answer.kind !== 'rejected') throw new Error(`no rejection for: ${call}, ${meaning}`)
    return [call, answer.status, `\`${answer.text}\``, meaning]
  })
  return table(['call', 'status', 'text, for example', 'when'], rows)
}

function acksPart(): string {
  const rows = Object.entries(api.Ack_Error).map(([name, value]) => {
    const error = errorOfAck(value)
    return [`\`${name}\``, String(value), error === undefined ? 'none' : `\`${error.code}\``]
  })
  return table(['`ackError`', 'number', 'what a unary Publish ends with'], rows)
}

/** Codes that PublishAsync tells in-band, as they stand in the frame that a client gets. */
function asyncPart(): string {
  const inBand = codes.filter((code) => code.startsWith('publish.') || IN_BAND.has(code))
  const rows = inBand.map((code) => {
    const frame = asyncErrorFrame(new LiftbridgeError(code), '')
    const { asyncError } = fromBinary(api.PublishResponseSchema, frame.subarray(FRAME_PREFIX_BYTES))
    if (asyncError === undefined) throw new Error(`${code} is not told in-band`)
    return [`\`${code}\``, `\`${nameOf(asyncError.code)}\``]
  })
  return table(['code', '`asyncError.code`'], rows)
}

/** What a PublishAsync message can be refused with besides `publish.*`. */
const IN_BAND: ReadonlySet<ErrorCode> = new Set([
  'stream.unknown',
  'partition.unknown',
  'partition.readonly',
  'partition.unavailable',
  'resume.failed',
])

const FRAME_PREFIX_BYTES = 5

function nameOf(code: number): string {
  const entry = Object.entries(api.PublishAsyncError_Code).find(([, value]) => value === code)
  if (entry === undefined) throw new Error(`no such code: ${code}`)
  return entry[0]
}

if (import.meta.main) runGenerator(errorsPage)
