import { DiskError, type DiskErrorCode } from '@liftbridge/log'

interface Meaning {
  readonly code: DiskErrorCode
  readonly text: string
}

/** What the operator is told, by system error; anything else is 'other' with the system's text. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: { code: 'not-found', text: 'there is no such file or directory' },
  ENOTDIR: { code: 'other', text: 'a part of the path is a file, not a directory' },
  EEXIST: { code: 'exists', text: 'it exists already' },
  ENOSPC: { code: 'no-space', text: 'the file system is full' },
  EDQUOT: { code: 'no-space', text: 'the disk quota is used up' },
  EFBIG: { code: 'no-space', text: 'the file would exceed the size allowed for files' },
  EIO: { code: 'io', text: 'the storage device reported an input/output error' },
  EMFILE: { code: 'too-many-open-files', text: 'this process has no file descriptor left' },
  ENFILE: { code: 'too-many-open-files', text: 'the system has no file descriptor left' },
  EROFS: { code: 'read-only', text: 'the file system is mounted read-only' },
  EACCES: { code: 'permission', text: 'permission denied' },
  EPERM: { code: 'permission', text: 'operation not permitted' },
}

/** Maps what `node:fs` reports to the Disk port's error, keeping the original as the cause. */
export function diskError(error: unknown, action: string, path: string): DiskError {
  const systemCode = error instanceof Error && 'code' in error ? String(error.code) : ''
  const meaning = MEANINGS[systemCode]
  const text = meaning?.text ?? (error instanceof Error ? error.message : String(error))
  const suffix = systemCode === '' ? '' : ` (${systemCode})`
  const message = `cannot ${action} ${path}: ${text}${suffix}`
  return new DiskError(meaning?.code ?? 'other', path, message, { cause: error })
}
