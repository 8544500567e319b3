import type { Action, Fields, Model, State } from '@slip/model'

/** What the explorer counts, by the plainest means: one string for each state in a Set. */
export function countNaively<F extends Fields>(
  model: Model<F>,
): { states: number; transitions: number; depth: number; terminals: number } {
  const key = (state: State<F>): string => [...state.words].join()
  const copy = (state: State<F>): State<F> => {
    const other = model.layout.state()
    other.words.set(state.words)
    return other
  }
  const first = model.layout.state()
  model.begin?.(first)
  const seen = new Set([key(first)])
  let transitions = 0
  let depth = -1
  let terminals = 0
  let level = [first]
  while (level.length > 0) {
    depth++
    const next: State<F>[] = []
    for (const state of level) {
      const before = key(state)
      let atRest = true
      for (const action of model.actions) {
        const to = copy(state)
        if (!taken(action, to)) {
          if (key(to) !== before) throw new Error(`${action.name} changed a state it is not enabled in`)
          continue
        }
        transitions++
        const name = key(to)
        if (name !== before && action.environment !== true) atRest = false
        if (seen.has(name)) continue
        seen.add(name)
        next.push(to)
      }
      if (key(state) !== before) throw new Error('a copy shares words')
      if (atRest) terminals++
    }
    level = next
  }
  return { states: seen.size, transitions, depth, terminals }
}

const taken = <F extends Fields>(action: Action<F>, state: State<F>): boolean => action.step(state)
