/** Who leads the metadata, as log lines that tell when this server begins and ceases to. */
import type { Logger } from '../logging/logger.ts'
import type { MetadataLeadership } from './consensus.ts'

export function logLeadership(logger: Logger): (leadership: MetadataLeadership) => void {
  /** This server leads the metadata, or has until now. */
  let leads = false
  return (leadership) => {
    switch (leadership.kind) {
      case 'here':
        leads = true
        logger.info('Server became metadata leader, performing leader promotion actions')
        return
      case 'elsewhere':
        logger.info('metadata leader is known', { leader: leadership.leader })
        break
      case 'unknown':
        break
      default:
        leadership satisfies never
    }
    if (!leads) return
    leads = false
    logger.warn('Server lost metadata leadership, performing leader stepdown actions')
  }
}
