import type { Fields, State } from './layout.ts'
import type { Model, Property } from './model.ts'
import { Settling } from './settling.ts'
import { StateSet } from './state-set.ts'

export interface Step {
  /** Undefined for the first state. */
  readonly action: string | undefined
  readonly cells: Readonly<Record<string, string | number>>
}

export interface Violation {
  /** `defined`: a step or a property threw. `sometimes` has no trace: nothing showed it. */
  readonly kind: 'always' | 'terminal' | 'settles' | 'sometimes' | 'defined'
  readonly property: string
  /** The shortest way there. */
  readonly trace: readonly Step[]
}

export interface Exploration {
  readonly model: string
  /** Unique ones. */
  readonly states: number
  readonly transitions: number
  /** Steps to the farthest state. */
  readonly depth: number
  /** States at rest. */
  readonly terminals: number
  readonly seconds: number
  /** Whether every state was visited. */
  readonly complete: boolean
  readonly violation: Violation | undefined
}

export interface ExploreOptions {
  /** Ends without a verdict on `sometimes` and `settles` after so many unique states. */
  readonly maxStates?: number
  /** Called for each step taken, numbers of states as in order of their visit. */
  readonly onEdge?: (from: number, action: number, to: number) => void
}

/** Visits every state of a model breadth first, and ends at the first that breaks a property. */
export function explore<F extends Fields>(model: Model<F>, options: ExploreOptions = {}): Exploration {
  return new Explorer(model, options).run()
}

type Named<F extends Fields> = readonly (readonly [name: string, holds: Property<F>])[]

class Explorer<F extends Fields> {
  readonly #model: Model<F>
  readonly #options: ExploreOptions
  readonly #set: StateSet
  readonly #settling: Settling | undefined
  readonly #state: State<F>
  readonly #always: Named<F>
  readonly #terminal: Named<F>
  #unseen: Named<F>
  #transitions = 0
  #terminals = 0

  constructor(model: Model<F>, options: ExploreOptions) {
    this.#model = model
    this.#options = options
    this.#set = new StateSet(model.layout.words)
    this.#settling = model.settles === true ? new Settling() : undefined
    this.#state = model.layout.state()
    this.#always = Object.entries(model.always ?? {})
    this.#terminal = Object.entries(model.terminal ?? {})
    this.#unseen = Object.entries(model.sometimes ?? {})
  }

  run(): Exploration {
    const startedMs = performance.now()
    const { maxStates = Infinity } = this.#options
    this.#model.begin?.(this.#state)
    this.#set.add(this.#state.words, -1, 0)
    let at = 0
    let levelEnd = 1
    let depth = 0
    let violation = this.#visited(0)
    for (; violation === undefined && at < this.#set.size && this.#set.size <= maxStates; at++) {
      if (at === levelEnd) {
        levelEnd = this.#set.size
        depth++
      }
      violation = this.#expand(at)
    }
    const complete = violation === undefined && at === this.#set.size
    if (complete) violation = this.#afterAll()
    return {
      model: this.#model.name,
      states: this.#set.size,
      transitions: this.#transitions,
      depth,
      terminals: this.#terminals,
      seconds: (performance.now() - startedMs) / 1000,
      complete,
      violation,
    }
  }

  #expand(from: number): Violation | undefined {
    const { actions } = this.#model
    const { words } = this.#state
    const set = this.#set
    const { onEdge } = this.#options
    let atRest = true
    this.#settling?.begin()
    set.load(from, words)
    for (let index = 0; index < actions.length; index++) {
      const action = actions[index]!
      try {
        if (!action.step(this.#state)) continue
      } catch (error) {
        return this.#violation('defined', `${action.name}: ${String(error)}`, from)
      }
      this.#transitions++
      const known = set.size
      const to = set.add(words, from, index)
      onEdge?.(from, index, to)
      if (to === known) {
        const violation = this.#visited(to)
        if (violation !== undefined) return violation
      }
      if (to !== from && action.environment !== true) {
        atRest = false
        this.#settling?.edge(to)
      }
      set.load(from, words)
    }
    if (!atRest) return undefined
    this.#terminals++
    for (const [name, holds] of this.#terminal)
      if (!holds(this.#state)) return this.#violation('terminal', name, from)
    return undefined
  }

  /** Judges a state that is new, and in hand. */
  #visited(index: number): Violation | undefined {
    try {
      for (const [name, holds] of this.#always)
        if (!holds(this.#state)) return this.#violation('always', name, index)
      if (this.#unseen.length > 0 && this.#unseen.some(([, holds]) => holds(this.#state)))
        this.#unseen = this.#unseen.filter(([, holds]) => !holds(this.#state))
    } catch (error) {
      return this.#violation('defined', String(error), index)
    }
    return undefined
  }

  #afterAll(): Violation | undefined {
    const restless = this.#settling?.restless()
    if (restless !== undefined) return this.#violation('settles', 'comes to rest', restless)
    const unseen = this.#unseen[0]
    return unseen === undefined ? undefined : { kind: 'sometimes', property: unseen[0], trace: [] }
  }

  #violation(kind: Violation['kind'], property: string, index: number): Violation {
    const { actions, columns, layout } = this.#model
    const trace: Step[] = []
    const state = layout.state()
    for (let at = index; at >= 0; at = this.#set.parentOf(at)) {
      this.#set.load(at, state.words)
      const cells = Object.fromEntries(Object.entries(columns).map(([name, show]) => [name, show(state)]))
      const action = this.#set.parentOf(at) < 0 ? undefined : actions[this.#set.actionOf(at)]!.name
      trace.push({ action, cells })
    }
    return { kind, property, trace: trace.reverse() }
  }
}
