import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * `nats-server_<pid>.ports` in a directory of the user's choice: JSON that names the addresses
 * bound, for programs that start a server on any free port. It goes when the server closes.
 */
export class PortsFile {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** '' leaves an address out. Rejects with what the file system says. */
  static async write(
    directory: string,
    urls: { readonly nats: string; readonly monitoring: string },
  ): Promise<PortsFile> {
    const path = join(directory, `nats-server_${process.pid}.ports`)
    const named = Object.entries(urls).filter(([, url]) => url !== '')
    const text = JSON.stringify(Object.fromEntries(named.map(([name, url]) => [name, [url]])))
    await writeFile(path, `${text}\n`)
    return new PortsFile(path)
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}
