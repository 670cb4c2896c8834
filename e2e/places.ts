/** Ports and folders for one test run: loopback only, removed at the end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A loopback port that was free a moment ago. A server that is restarted must come back on the
 * same port, so the port is chosen here instead of asking the server for any.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}

const made = new Set<string>()
process.on('exit', () => {
  if (process.env['KEEP'] === '1') return
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

/** A fresh folder, removed when the process ends (`KEEP=1` keeps it for a look). */
export function tempFolder(purpose: string): string {
  const folder = mkdtempSync(join(tmpdir(), `liftbridge-${purpose}-`))
  made.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  made.delete(folder)
  rmSync(folder, { recursive: true, force: true })
}
