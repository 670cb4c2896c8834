/** Pauses a partition that has been idle for its `auto.pause.time`. */
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { Controller } from './controller.ts'

/** Asks for it once; whoever finds the partition idle again asks again. */
export function autoPause(
  { controller, clock, logger }: AutoPauseOptions,
  stream: string,
  partition: number,
): void {
  const timestampNs = clock.wallNs()
  const partitions = [partition]
  void controller
    .submit({ kind: 'pause-stream', stream, partitions, resumeAll: false, timestampNs })
    .then((outcome) => {
      // A refusal means that the stream has just gone, or that the metadata tells why itself.
      if (outcome.kind === 'rejected') return
      logger.info('partition paused: it was idle', { stream, partition })
    })
}

export type AutoPauseOptions = {
  readonly controller: Controller
  readonly clock: Clock
  readonly logger: Logger
}
