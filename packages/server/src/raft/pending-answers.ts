import { FAILURE_TEXTS, type Answer, type TicketId } from '@liftbridge/raft'
import type { Clock, Timer } from '../clock.ts'
import { ConsensusError, type ConsensusErrorCode } from '../metadata/consensus.ts'

interface Pending<Result> {
  readonly resolve: (result: Result) => void
  readonly reject: (error: ConsensusError) => void
  readonly timer: Timer
}

/** What was asked of the core and has no answer yet, by ticket; each with a deadline. */
export class PendingAnswers<Result> {
  readonly #clock: Clock
  readonly #pending = new Map<TicketId, Pending<Result>>()
  #nextTicket: TicketId = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#pending.size
  }

  /** `ask` gets the ticket. Rejects with ConsensusError, after `timeoutMs` with 'failed'. */
  wait(timeoutMs: number, ask: (ticket: TicketId) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      const ticket = this.#nextTicket++
      const timer = this.#clock.after(timeoutMs, () => {
        this.#pending.delete(ticket)
        reject(new ConsensusError('failed', 'raft operation timed out'))
      })
      this.#pending.set(ticket, { resolve, reject, timer })
      ask(ticket)
    })
  }

  /** A ticket that nobody waits for any more is nobody's. */
  resolve(ticket: TicketId, result: Result): void {
    this.#take(ticket)?.resolve(result)
  }

  fail({ ticket, failure, text, undecided }: Extract<Answer, { kind: 'failed' }>): void {
    this.#take(ticket)?.reject(new ConsensusError(codeOf(failure, undecided), text))
  }

  failAll(error: ConsensusError): void {
    for (const ticket of this.#pending.keys()) this.#take(ticket)?.reject(error)
  }

  #take(ticket: TicketId): Pending<Result> | undefined {
    const pending = this.#pending.get(ticket)
    this.#pending.delete(ticket)
    pending?.timer.cancel()
    return pending
  }
}

/** 'failed' alone says that the entry may yet be committed. */
const codeOf = (failure: keyof typeof FAILURE_TEXTS, undecided: boolean): ConsensusErrorCode => {
  if (undecided) return 'failed'
  switch (failure) {
    case 'not-leader':
    case 'leadership-lost':
    case 'transfer-in-progress':
      return 'not-leader'
    case 'stopped':
      return 'closed'
    case 'overloaded':
      return 'overloaded'
    case 'transfer-timeout':
    case 'no-peer':
    case 'bad-configuration':
      return 'failed'
  }
}
