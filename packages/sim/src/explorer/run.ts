/** Explores the scope that is named, or all that are run for every change. */
import * as cores from '@liftbridge/replication'
import { explore, type Exploration } from './explore.ts'
import { LARGE_SCOPES, SCOPES } from './scopes.ts'

const wanted = process.argv[2]
let failed = false
const all = wanted === undefined ? SCOPES : { ...SCOPES, ...LARGE_SCOPES }
for (const [name, scope] of Object.entries(all)) {
  if (wanted !== undefined && wanted !== name) continue
  const started = performance.now()
  const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1)
  const tell = (progress: string, { states, transitions, depth }: Exploration): void =>
    console.log(
      `${name}: ${progress} ${states} states, ${transitions} steps, depth ${depth}, ${seconds()} s`,
    )
  const result = explore(cores, scope, { onLevel: (level) => tell('..', level) })
  tell(result.closed ? 'closed:' : 'stopped:', result)
  if (result.violation !== undefined) {
    failed = true
    console.log([`${name}: ${result.violation.rule}`, ...result.violation.story].join('\n  '))
  }
}
process.exitCode = failed ? 1 : 0
