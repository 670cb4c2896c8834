/** The metadata of a server, on Raft. */
import type { Outcome } from '@liftbridge/metadata'
import type { Logger } from '../logging/logger.ts'
import { openRaft, type OpenRaftOptions } from '../raft/open-raft.ts'
import type { RaftConsensus } from '../raft/raft-consensus.ts'
import { logLeadership } from './leadership-log.ts'
import { Metadata } from './metadata.ts'

/** Opens it; nothing has been applied, sent or answered yet. `logger` hears what operators need. */
export async function openMetadata(
  raft: OpenRaftOptions,
  logger: Logger,
): Promise<{ readonly consensus: RaftConsensus<Outcome>; readonly metadata: Metadata }> {
  const consensus = await openRaft<Outcome>(raft)
  const metadata = new Metadata({
    consensus,
    onInert: (index, { text }) => {
      logger.warn('metadata: an operation changed nothing', { index, reason: text })
    },
  })
  metadata.onLeadership(logLeadership(logger))
  return { consensus, metadata }
}
