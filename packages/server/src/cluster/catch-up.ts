/**
 * Before a server serves it learns what is committed: what it stored may be old, and only the
 * metadata leader knows.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { MetadataAnswer, MetadataRequest } from '@liftbridge/metadata'

export interface CatchUpOptions {
  /** Asks the metadata leader; may answer at once when it cannot be reached. */
  readonly submit: (request: MetadataRequest) => Promise<MetadataAnswer>
  /** What is in the way, in words; empty when nobody knows. */
  readonly obstacle: () => string
  /** Why there is no use in waiting any longer; undefined while there is. */
  readonly ended: () => string | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Without it a refusal that comes at once, as without NATS, would be followed by the next for ever. */
const PAUSE_MS = 250

/**
 * The index up to which the metadata must be applied here. Waits for as long as it takes, and says
 * so; rejects when `ended` says so.
 */
export async function indexToCatchUpWith(options: CatchUpOptions): Promise<number> {
  const { clock, logger } = options
  for (;;) {
    const answer = await options.submit({ kind: 'read-index' })
    if (answer.kind === 'done') return answer.index
    const ended = options.ended()
    if (ended !== undefined) throw new Error(ended)
    logger.warn('waiting for the metadata', { reason: options.obstacle() || answer.text })
    await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve))
  }
}
