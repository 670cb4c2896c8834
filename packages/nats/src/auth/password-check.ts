import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether a configured password is a bcrypt hash rather than the password itself. */
export function isBcrypt(password: string): boolean {
  return /^\$2[abxy]\$\d{2}\$.{53}$/s.test(password)
}

/** Compares in a time that does not depend on where the two differ. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
