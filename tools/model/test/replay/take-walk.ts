import type { Fields, Model } from '@slip/model'
import { expect } from 'vitest'
import type { Edge } from './walk.ts'

/** The real thing that follows a model step by step. */
export interface Replayed<S> {
  /** Does what the action is in the model. */
  take(action: string, before: S, after: S): Promise<void>
  /** How it stands. */
  abstraction(): object
  /** How it should stand, by the state of the model. */
  expected(state: S): object
}

/** Takes one walk through a model from `begin`, and compares behind each step; gives the last state. */
export async function takeWalk<F extends Fields, S extends ReturnType<Model<F>['layout']['state']>>(
  model: Model<F>,
  walk: readonly Edge[],
  begin: S,
  real: Replayed<S>,
): Promise<S> {
  let state = begin
  const trace: string[] = []
  for (const { action: index } of walk) {
    const action = model.actions[index]!
    const next = model.layout.state() as S
    next.words.set(state.words)
    action.step(next)
    trace.push(action.name)
    await real.take(action.name, state, next).catch((error: unknown) => {
      throw new Error(`${String(error)} after: ${trace.join(', ')}`, { cause: error })
    })
    const [found, told] = [real.abstraction(), real.expected(next)]
    if (JSON.stringify(found) !== JSON.stringify(told)) expect(found, trace.join(', ')).toEqual(told)
    state = next
  }
  return state
}
