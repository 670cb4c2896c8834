import type { Configuration, Member, Suffrage } from '@liftbridge/raft'

/**
 * A configuration as JSON, in the words of the original's `meta.json`:
 * `{"Servers":[{"Suffrage":0,"ID":"a","Address":"a"}]}` [LB 2.1].
 */
export interface StoredConfiguration {
  readonly Servers: readonly {
    readonly Suffrage: number
    readonly ID: string
    readonly Address: string
  }[]
}

const SUFFRAGES: readonly Suffrage[] = ['voter', 'non-voter', 'staging']

export const toStored = ({ servers }: Configuration): StoredConfiguration => ({
  Servers: servers.map(({ suffrage, id, address }) => ({
    Suffrage: SUFFRAGES.indexOf(suffrage),
    ID: id,
    Address: address,
  })),
})

/** Undefined when it is not one. */
export const fromStored = (value: unknown): Configuration | undefined => {
  const listed = field(value, 'Servers')
  if (!Array.isArray(listed)) return undefined
  const servers: Member[] = []
  for (const item of listed) {
    const suffrage = SUFFRAGES[Number(field(item, 'Suffrage'))]
    const id = field(item, 'ID')
    const address = field(item, 'Address')
    if (suffrage === undefined || typeof id !== 'string' || typeof address !== 'string') {
      return undefined
    }
    servers.push({ id, address, suffrage })
  }
  return { servers }
}

/** A field of parsed JSON; undefined when it has none. */
export const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
