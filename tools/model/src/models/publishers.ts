import type { Fields, State } from '../explorer/layout.ts'
import type { Action } from '../explorer/model.ts'

/** What models of artifacts know of those who publish: where each is, and what its fold is at. */
export type PublishersFields = {
  /** The history of the bucket. */
  readonly era: number
  readonly publisher: readonly [number, number]
  readonly foldEra: readonly [number, number]
  readonly cursor: readonly [number, number]
}

/** Where a publisher is that has nothing in hand. */
export const IDLE = 0

/** The folds of those who publish, which move on while their publisher rests: before it begins, and when it is done. */
export class PublishersFolds<S extends State<PublishersFields>> {
  readonly #done: number
  readonly #newest: (s: S) => number

  /** `done`: where a publisher is that waits for its fold to move. `newest`: the last revision of the bucket's history. */
  constructor({ done, newest }: { readonly done: number; readonly newest: (s: S) => number }) {
    this.#done = done
    this.#newest = newest
  }

  rests(s: S, n: number): boolean {
    const phase = s.publisher.at(n)
    return phase === IDLE || phase === this.#done
  }

  /** The fold takes the next update; nothing that is in hand changes. */
  apply(s: S, n: number): boolean {
    const cursor = s.cursor.at(n)
    if (!this.rests(s, n) || s.foldEra.at(n) !== s.era || cursor === this.#newest(s)) return false
    s.cursor.set(n, cursor + 1)
    s.publisher.set(n, IDLE)
    return true
  }

  /** The fold of a history that is over is made anew. */
  rebuild(s: S, n: number): boolean {
    if (!this.rests(s, n) || s.foldEra.at(n) === s.era) return false
    s.foldEra.set(n, s.era)
    s.cursor.set(n, 0)
    s.publisher.set(n, IDLE)
    return true
  }
}

/** How actions of a model are written in which several publish. */
export interface PublishersActions<F extends Fields> {
  readonly step: (name: string, take: (s: State<F>) => boolean, environment?: boolean) => Action<F>
  /** One for each of them. */
  readonly each: (
    name: string,
    take: (s: State<F>, n: number) => boolean,
    environment?: boolean,
  ) => Action<F>[]
}

export function actionsOf<F extends Fields>(publishers: readonly number[]): PublishersActions<F> {
  const step: PublishersActions<F>['step'] = (name, take, environment = false) => ({
    name,
    environment,
    step: take,
  })
  return {
    step,
    each: (name, take, environment) =>
      publishers.map((n) => step(`p${n} ${name}`, (s) => take(s, n), environment)),
  }
}

/** What a history is called: when it began, or a name that says nothing of the order. */
export function historyName(kind: 'dated' | 'named', era: number): string {
  return kind === 'named' ? `history ${'ab'[era]}` : `2026-01-0${era + 1}T00:00:00Z`
}
