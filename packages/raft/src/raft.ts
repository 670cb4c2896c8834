import type { Input } from './input.ts'
import type { RaftOptions } from './options.ts'
import type { Output } from './output.ts'
import type { RaftStatus } from './status.ts'
import type { StoredState } from './stored-state.ts'
import type { Moment } from './units.ts'

/**
 * The Raft consensus algorithm with the behaviour of hashicorp/raft towards its peers [LB 2.6], as
 * a state machine: it knows no clock, no disk, no network, and keeps no promise. One driver owns
 * it, calls `step` for one thing after the other, and carries out each output before the next step
 * (writing to the disk excepted: steps go on while a persist is under way).
 *
 * A step never throws for what a peer sent. It throws when its own invariants are broken, or the
 * driver broke the contract; the core must not be used after that.
 */
export class Raft {
  /** `now` is the first moment; the timers start from it. Throws on stored state with a gap. */
  constructor(_options: RaftOptions, _stored: StoredState, _now: Moment) {}

  step(_input: Input): Output {
    throw new Error('the core is not there yet')
  }

  status(): RaftStatus {
    throw new Error('the core is not there yet')
  }
}
