import { CaseSkipped, type ConformanceCase } from './conformance-case.ts'

/** What a runner may hand to a test; both vitest's and node:test's have `skip`. */
export interface TestContext {
  skip?(reason?: string): unknown
}

/** The intersection of the `test` of vitest, node:test, jest and tape-like runners. */
export type TestFunction = ((name: string, fn: (context?: TestContext) => Promise<void>) => unknown) & {
  readonly skip?: (name: string, fn: () => Promise<void>) => unknown
}

/** Registers each case as one test; a skipped one is registered too and carries its reason in the name. */
export function registerCases(test: TestFunction, cases: readonly ConformanceCase[]): void {
  for (const each of cases) {
    const name = `${each.id}: ${each.title}`
    if (each.skip !== undefined) registerSkipped(test, `${name} [skipped: ${each.skip}]`)
    else
      void test(
        each.knownGap === undefined ? name : `${name} [known gap: ${each.knownGap}]`,
        async (context) => {
          try {
            await each.run()
          } catch (error) {
            if (!(error instanceof CaseSkipped)) throw error
            context?.skip?.(error.message)
          }
        },
      )
  }
}

function registerSkipped(test: TestFunction, name: string): void {
  const register = test.skip ?? test
  void register(name, async () => {})
}
