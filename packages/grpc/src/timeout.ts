/*
 * grpc-timeout. Wire grammar: 1 to 8 decimal digits and one unit of H M S m u n (hours, minutes,
 * seconds, milli-, micro-, nanoseconds). No sign, no space, no fraction.
 */

const UNIT_MS = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
])

/** Milliseconds, possibly a fraction; undefined when the text breaks the grammar. */
export function parseTimeout(text: string): number | undefined {
  if (!/^\d{1,8}[HMSmun]$/.test(text)) return undefined
  const unitMs = UNIT_MS.get(text.slice(-1))
  return unitMs === undefined ? undefined : Number(text.slice(0, -1)) * unitMs
}

const FINEST_FIRST = ['n', 'u', 'm', 'S', 'M', 'H'] as const
const MAX_DIGITS_VALUE = 99_999_999

/** The finest unit that fits in 8 digits, rounded up so that the peer never gives up before us. */
export function formatTimeout(timeoutMs: number): string {
  const ms = Math.max(0, timeoutMs)
  for (const unit of FINEST_FIRST) {
    const value = Math.ceil(Number((ms / (UNIT_MS.get(unit) ?? 1)).toPrecision(12)))
    if (value <= MAX_DIGITS_VALUE) return `${value}${unit}`
  }
  return `${MAX_DIGITS_VALUE}H`
}

/** Longest delay setTimeout takes; more fires at once. */
const MAX_TIMER_MS = 0x7fffffff

/** A one-shot timer against the monotonic clock, without setTimeout's limit of 24.8 days. */
export class DeadlineTimer {
  #timer: NodeJS.Timeout | undefined
  readonly #atMs: number
  readonly #fire: () => void

  /** `atMs` is a reading of `performance.now()`. */
  constructor(atMs: number, fire: () => void) {
    this.#atMs = atMs
    this.#fire = fire
    this.#arm()
  }

  cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(): void {
    const leftMs = this.#atMs - performance.now()
    this.#timer = setTimeout(
      () => {
        // setTimeout may fire up to a millisecond early against performance.now().
        if (this.#atMs - performance.now() > 1) this.#arm()
        else this.#fire()
      },
      Math.min(Math.max(0, Math.ceil(leftMs)), MAX_TIMER_MS),
    )
  }
}
