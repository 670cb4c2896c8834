/** Enough to mend a file in one go, few enough to stay on the screen. */
const PROBLEMS_SHOWN_MAX = 25

/**
 * The configuration cannot be used. `message` is complete and written for the person who has to
 * mend it, one problem a line; the process prints it and exits with code 1, without a stack.
 */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const more = problems.length - PROBLEMS_SHOWN_MAX
    const tail = more > 0 ? [`... and ${more} more`] : []
    super([...problems.slice(0, PROBLEMS_SHOWN_MAX), ...tail].join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}
