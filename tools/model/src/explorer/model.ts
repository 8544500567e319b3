import type { Fields, Layout, State } from './layout.ts'

/** One way a state can change: at most one successor for each state. */
export interface Action<F extends Fields> {
  readonly name: string
  /** Something that may happen, as opposed to something the system does when it can. */
  readonly environment?: boolean
  /** Changes `state` and returns true; false when it is not enabled, and then nothing was changed. */
  step(state: State<F>): boolean
}

export type Property<F extends Fields> = (state: State<F>) => boolean

/** A finite system, and what has to be true of it. */
export interface Model<F extends Fields> {
  readonly name: string
  readonly layout: Layout<F>
  /** Fills in the first state; fields are 0 before. */
  begin?(state: State<F>): void
  readonly actions: readonly Action<F>[]
  /** Hold in every state. */
  readonly always?: Readonly<Record<string, Property<F>>>
  /** Each holds in some state: what is never witnessed shows nothing. */
  readonly sometimes?: Readonly<Record<string, Property<F>>>
  /** Hold wherever the system is at rest: no action but those of the environment leads to another state. */
  readonly terminal?: Readonly<Record<string, Property<F>>>
  /** Whether the system, left alone, comes to rest from every state. */
  readonly settles?: boolean
  /** Columns of a printed trace. */
  readonly columns: Readonly<Record<string, (state: State<F>) => string | number>>
}
