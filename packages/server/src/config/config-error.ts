/**
 * The configuration cannot be used. `message` is complete and written for the person who has to
 * mend it, one problem a line; the process prints it and exits with code 1, without a stack.
 */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}
