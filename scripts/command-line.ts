/** Options of the repository's own programs: a usage text for `--help`, one line for a mistake. */
import { parseArgs, type ParseArgsConfig } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/**
 * The options given to this program. `--help` prints `usage` and ends it; so does, with exit code
 * 2 and a line that names it, an option that is not there or has no value.
 */
export function readOptions<T extends Options>(usage: string, options: T): Values<T> {
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    console.log(usage.trim())
    process.exit(0)
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error))
  }
}

/** Ends the program because of a wrong option. */
export function refuse(reason: string): never {
  console.error(`${reason}\nSee --help.`)
  process.exit(2)
}

/** The whole number of an option, or `fallback` when it was not given. */
export function wholeNumber(
  name: string,
  text: string | undefined,
  range: { readonly fallback: number; readonly min?: number },
): number {
  if (text === undefined) return range.fallback
  const number = Number(text)
  const min = range.min ?? 0
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= min) return number
  return refuse(`--${name} ${text}: expected a whole number from ${min} on`)
}
