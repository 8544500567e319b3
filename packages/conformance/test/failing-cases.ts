import { CaseSkipped, type ConformanceCase } from '@slip/conformance'

/** The ids that fail, all cases run side by side: each has a place of its own. */
export async function failingCases(cases: readonly ConformanceCase[]): Promise<string[]> {
  const outcomes = await Promise.all(
    cases
      .filter(({ skip }) => skip === undefined)
      .map(async (each) => {
        try {
          await each.run()
          return []
        } catch (error) {
          return error instanceof CaseSkipped ? [] : [each.id]
        }
      }),
  )
  return outcomes.flat()
}
