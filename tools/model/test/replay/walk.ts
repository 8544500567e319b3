import { explore, type Fields, type Model } from '@slip/model'

export interface Edge {
  readonly from: number
  readonly action: number
  readonly to: number
}

/**
 * Walks from the first state that together take every step of a model: each goes the shortest way to a
 * state with a step not taken yet, and on from there for as long as there are more.
 */
export function walks<F extends Fields>(model: Model<F>): readonly (readonly Edge[])[] {
  const leaving: Edge[][] = []
  const cameBy: (Edge | undefined)[] = [undefined]
  const { states } = explore(model, {
    onEdge: (from, action, to) => {
      const edge = { from, action, to }
      ;(leaving[from] ??= []).push(edge)
      if (to === cameBy.length) cameBy.push(edge)
    },
  })
  const found: Edge[][] = []
  for (let start = 0; start < states; start++)
    while ((leaving[start] ?? []).length > 0) {
      const walk: Edge[] = []
      for (let edge = cameBy[start]; edge !== undefined; edge = cameBy[edge.from]) walk.push(edge)
      walk.reverse()
      for (let at = start; ;) {
        const edge = leaving[at]?.pop()
        if (edge === undefined) break
        walk.push(edge)
        at = edge.to
      }
      found.push(walk)
    }
  return found
}
