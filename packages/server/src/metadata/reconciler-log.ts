/** The reconciler's reports as log lines. */
import type { Logger } from '../logging/logger.ts'
import type { ReconcilerReport } from './reconciler-report.ts'

export function logReconciler(logger: Logger): (report: ReconcilerReport) => void {
  return (report) => {
    const { kind, ...fields } = report
    switch (kind) {
      case 'unknown-directory':
        logger.warn('a directory belongs to no stream; it is left alone', fields)
        return
      case 'quarantined':
        logger.warn('data of another stream of this name was moved aside', fields)
        return
      case 'partition-failed':
        logger.error('a partition does not run; it will be tried again', fields)
        return
      case 'partition-recovered':
        logger.info('a partition runs again', fields)
        return
      case 'stream-removed':
        logger.info('the data of a deleted stream was removed', fields)
        return
      case 'removal-failed':
        logger.error('the data of a deleted stream could not be removed yet', fields)
        return
      case 'tidy-failed':
        logger.error('the streams directory could not be looked through', fields)
        return
      default:
        kind satisfies never
    }
  }
}
