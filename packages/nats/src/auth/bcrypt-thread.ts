/** The thread that computes bcrypt: answers `{ id, password, hash }` with `{ id, matches }`. */
import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

parentPort?.on('message', ({ id, password, hash }: BcryptQuestion) => {
  parentPort?.postMessage({ id, matches: compareSync(password, hash) })
})

interface BcryptQuestion {
  readonly id: number
  readonly password: string
  readonly hash: string
}
