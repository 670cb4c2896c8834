/**
 * Walks every state that a scope allows, breadth first, so that the first broken rule comes with a
 * shortest story. Closed means that no state was left out.
 */
import { actionsOf, after } from './actions.ts'
import { canonicalText } from './canonical.ts'
import { SeenSet } from './seen.ts'
import { initialState, Violation, type Cores, type Scope, type State } from './state.ts'
import { World } from './world.ts'

export type Exploration = {
  readonly closed: boolean
  readonly states: number
  readonly transitions: number
  readonly depth: number
  /** The broken rule, and the actions that led to it. */
  readonly violation: { readonly rule: string; readonly story: readonly string[] } | undefined
}

export type Limits = {
  readonly states?: number
  /** Actions, by name, that have happened already: it begins with a state that is far off. */
  readonly prefix?: readonly string[]
  readonly onLevel?: (exploration: Exploration) => void
}

export function explore(cores: Cores, scope: Scope, limits: Limits = {}): Exploration {
  return new Walk(cores, scope, limits.prefix ?? []).run(limits)
}

class Walk {
  readonly #cores: Cores
  readonly #scope: Scope
  readonly #begin: State
  readonly #seen = new SeenSet()
  /** By number of the state: the number of the one before, and which of its actions led here. */
  #parents = new Int32Array(1 << 16)
  #choices = new Uint16Array(1 << 16)
  #transitions = 0
  #depth = 0

  constructor(cores: Cores, scope: Scope, prefix: readonly string[]) {
    this.#cores = cores
    this.#scope = scope
    this.#begin = prefix.reduce(
      (state, name) => {
        const action = actionsOf(cores, scope, state).find((candidate) => candidate.name === name)
        if (action === undefined) throw new Error(`cannot happen: ${name}`)
        return after({ cores, scope }, state, action)
      },
      beginning(cores, scope),
    )
  }

  run({ states = Number.POSITIVE_INFINITY, onLevel }: Limits): Exploration {
    let level: [number, State][] = [[0, this.#begin]]
    this.#seen.add(canonicalText(this.#scope, this.#begin))
    while (level.length > 0 && this.#seen.size < states) {
      const next: [number, State][] = []
      for (const [number, state] of level) {
        const violation = this.#expand(number, state, next)
        if (violation !== undefined) return this.#result(false, violation)
      }
      level = next
      if (level.length > 0) this.#depth += 1
      onLevel?.(this.#result(false))
    }
    return this.#result(level.length === 0)
  }

  #expand(number: number, state: State, next: [number, State][]): Exploration['violation'] {
    const actions = actionsOf(this.#cores, this.#scope, state)
    for (const [choice, action] of actions.entries()) {
      this.#transitions += 1
      let reached: State
      try {
        reached = after({ cores: this.#cores, scope: this.#scope }, state, action)
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        return { rule: error.message, story: [...this.#story(number), action.name] }
      }
      const id = this.#seen.size
      if (!this.#seen.add(canonicalText(this.#scope, reached))) continue
      this.#note(id, number, choice)
      next.push([id, reached])
    }
    return undefined
  }

  #note(id: number, parent: number, choice: number): void {
    if (id >= this.#parents.length) {
      const parents = new Int32Array(this.#parents.length * 2)
      const choices = new Uint16Array(this.#parents.length * 2)
      parents.set(this.#parents)
      choices.set(this.#choices)
      this.#parents = parents
      this.#choices = choices
    }
    this.#parents[id] = parent
    this.#choices[id] = choice
  }

  /** The names of the actions from the beginning to a state. */
  #story(id: number): string[] {
    const choices: number[] = []
    for (let at = id; at !== 0; at = this.#parents[at] ?? 0) choices.unshift(this.#choices[at] ?? 0)
    const story: string[] = []
    let state = this.#begin
    for (const choice of choices) {
      const action = actionsOf(this.#cores, this.#scope, state)[choice]
      if (action === undefined) break
      story.push(action.name)
      state = after({ cores: this.#cores, scope: this.#scope }, state, action)
    }
    return story
  }

  #result(closed: boolean, violation?: Exploration['violation']): Exploration {
    const { size: states } = this.#seen
    return { closed, states, transitions: this.#transitions, depth: this.#depth, violation }
  }
}

/** Everybody knows of the partition, and its first leader leads. */
function beginning(cores: Cores, scope: Scope): State {
  const world = new World(cores, scope, initialState(scope))
  for (let id = 0; id < scope.replicas; id++) world.learn(id)
  return world.state
}
