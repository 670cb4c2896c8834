export type { Index, ServerId, Term } from './units.ts'
