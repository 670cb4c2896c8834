import type { DrawOptions } from '../workload/draw-plan.ts'

/**
 * Planted bugs: changes of the product's source that a simulator worth its name must catch. They
 * are applied to the text of a module as it is loaded, in a process of their own.
 */
export interface Edit {
  /** From the folder of the packages: `replication/src/leader.ts`. */
  readonly file: string
  /** Stands there exactly once, or the mutant is out of date, which is an error. */
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  /** What goes wrong, in one line. */
  readonly breaks: string
  readonly edits: readonly Edit[]
  /** What runs show it best; any when absent. */
  readonly draw?: DrawOptions
  /** Why nothing finds it yet; it is told, but fails nothing, as long as that is so. */
  readonly knownMissed?: string
}

/** The environment variable that names the mutant of a process. */
export const MUTANT_VARIABLE = 'SIM_MUTANT'

/** The text with the edit carried out. Throws when it does not stand there exactly once. */
export function applyEdit(text: string, edit: Edit): string {
  const parts = text.split(edit.find)
  if (parts.length !== 2) {
    const times = parts.length - 1
    throw new Error(`${edit.file} holds ${JSON.stringify(edit.find)} ${times} times, not once`)
  }
  return parts.join(edit.replace)
}
