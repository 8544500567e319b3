/** One requirement, as data: runs anywhere, cleans up after itself, rejects when the requirement is not met. */
export interface ConformanceCase {
  /** Stable and citable: `durability/reopen`. */
  readonly id: string
  /** The requirement in plain words. */
  readonly title: string
  /** Which of the sixteen promises of the architecture it belongs to. */
  readonly promise: number
  /** Why it does not apply to this suite; such a case is reported, not run. */
  readonly skip?: string
  /** Why it is expected to fail: then `run` rejects when the requirement is met. */
  readonly knownGap?: string
  /** What its last run did more than once, by name: `{ kills: 60 }`. */
  readonly counted: Readonly<Record<string, number>>
  /** Rejects with CaseSkipped when only the fixture could tell that it does not apply. */
  run(): Promise<void>
}

/** Tells the scorecard that something was done once more, or `count` times. */
export type Tally = (what: string, count?: number) => void

/** Found out while running that the fixture lacks what a case needs. */
export class CaseSkipped extends Error {
  override readonly name: string = 'CaseSkipped'
}

/** A case before it meets a suite. `needs` says why it does not apply, or undefined when it does. */
export interface CaseTemplate<S> {
  readonly id: string
  readonly title: string | ((suite: S) => string)
  readonly promise: number
  readonly needs?: (suite: S) => string | undefined
  run(suite: S, tally: Tally): Promise<void>
}

/** Binds templates to a suite. A known gap without a case of that id is a `RangeError`. */
export function bindCases<S extends { readonly knownGaps?: Readonly<Record<string, string>> }>(
  templates: readonly CaseTemplate<S>[],
  suite: S,
): readonly ConformanceCase[] {
  const gaps = new Map(Object.entries(suite.knownGaps ?? {}))
  const ids = new Set(templates.map(({ id }) => id))
  for (const id of gaps.keys())
    if (!ids.has(id)) throw new RangeError(`known gap ${id}: there is no such case`)
  return templates.map((template) => {
    const { id, promise } = template
    const title = typeof template.title === 'string' ? template.title : template.title(suite)
    const knownGap = gaps.get(id)
    const skip = template.needs?.(suite)
    const counted: Record<string, number> = {}
    const run = async (): Promise<void> => {
      for (const what of Object.keys(counted)) counted[what] = 0
      await template.run(suite, (what, count = 1) => (counted[what] = (counted[what] ?? 0) + count))
    }
    return {
      id,
      title,
      promise,
      ...(skip === undefined ? {} : { skip }),
      ...(knownGap === undefined ? {} : { knownGap }),
      counted,
      run: () => (knownGap === undefined ? run() : mustFail(id, knownGap, run)),
    }
  })
}

async function mustFail(id: string, reason: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (error instanceof CaseSkipped) throw error
    return
  }
  throw new Error(`${id} passes, so it is no known gap (${reason}); delete it from knownGaps`)
}
