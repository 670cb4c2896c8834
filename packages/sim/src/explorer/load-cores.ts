/** The replication package as it is on disk, with some of its text replaced. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { PlantedBug } from './planted-bugs.ts'
import type { Cores } from './state.ts'

const SOURCES = fileURLToPath(new URL('../../../replication/src/', import.meta.url))

/** Throws when the text to be replaced does not stand in its file exactly once. */
export async function loadCoresWith(edit: PlantedBug['edit']): Promise<Cores> {
  const directory = mkdtempSync(join(tmpdir(), 'replication-'))
  try {
    cpSync(SOURCES, directory, { recursive: true })
    if (edit) {
      const { file, find, put } = edit
      const path = join(directory, file)
      const parts = readFileSync(path, 'utf8').split(find)
      if (parts.length !== 2) throw new Error(`${file} does not have exactly one: ${find}`)
      writeFileSync(path, parts.join(put))
    }
    const loaded: unknown = await import(pathToFileURL(join(directory, 'index.ts')).href)
    return loaded as Cores
  } finally {
    rmSync(directory, { recursive: true })
  }
}
