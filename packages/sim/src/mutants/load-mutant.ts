/** Preloaded into a process (`--import`): plants the mutant that the environment names. */
import { registerHooks } from 'node:module'
import { MUTANTS } from './mutants.ts'
import { applyEdit, MUTANT_VARIABLE, type Edit } from './mutant.ts'

const name = process.env[MUTANT_VARIABLE]
const mutant = MUTANTS.find((one) => one.name === name)
if (mutant === undefined) throw new Error(`there is no mutant ${name}`)

const editsOf = (url: string): readonly Edit[] =>
  mutant.edits.filter(({ file }) => url.endsWith(`/packages/${file}`))

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const edits = editsOf(url)
    if (edits.length === 0) return loaded
    const { source } = loaded
    if (source === undefined || source === null) throw new Error(`${url} has no source`)
    let text = typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString()
    for (const edit of edits) text = applyEdit(text, edit)
    return { ...loaded, source: text }
  },
})
