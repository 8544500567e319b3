import { CaseSkipped, type ConformanceCase } from './conformance-case.ts'

export type Outcome = 'passed' | 'failed' | 'skipped' | 'known gap'

export interface CaseResult {
  readonly id: string
  readonly title: string
  readonly promise: number
  readonly outcome: Outcome
  /** Why it was skipped or is a known gap, or how it failed. */
  readonly reason?: string
  readonly error?: unknown
  readonly ms: number
  /** What it did more than once, by name. */
  readonly counted: Readonly<Record<string, number>>
}

export interface Scorecard {
  readonly results: readonly CaseResult[]
  readonly counts: Readonly<Record<Outcome, number>>
  /** Passed and run, for each of the sixteen promises that has a case. */
  readonly promises: ReadonlyMap<number, { readonly passed: number; readonly run: number }>
  /** What the cases did more than once, added up: `kills`, `damages`, … */
  readonly counted: ReadonlyMap<string, number>
  /** Nothing failed. */
  readonly ok: boolean
}

/** Runs `cases` one after another, without a test runner; `onResult` sees each as it ends. */
export async function scorecard(
  cases: readonly ConformanceCase[],
  onResult?: (result: CaseResult) => void,
): Promise<Scorecard> {
  const results: CaseResult[] = []
  for (const each of cases) {
    const result = await runCase(each)
    results.push(result)
    onResult?.(result)
  }
  const counts = { passed: 0, failed: 0, skipped: 0, 'known gap': 0 }
  const promises = new Map<number, { passed: number; run: number }>()
  const counted = new Map<string, number>()
  for (const { outcome, promise, counted: done } of results) {
    counts[outcome]++
    for (const [what, count] of Object.entries(done)) counted.set(what, (counted.get(what) ?? 0) + count)
    if (outcome === 'skipped') continue
    const row = promises.get(promise) ?? { passed: 0, run: 0 }
    row.run++
    if (outcome === 'passed') row.passed++
    promises.set(promise, row)
  }
  return {
    results,
    counts,
    promises: new Map([...promises].sort(([a], [b]) => a - b)),
    counted,
    ok: counts.failed === 0,
  }
}

async function runCase(each: ConformanceCase): Promise<CaseResult> {
  const { id, title, promise, skip, knownGap } = each
  const began = performance.now()
  const ended = (outcome: Outcome, details: { reason?: string; error?: unknown } = {}): CaseResult => ({
    id,
    title,
    promise,
    outcome,
    ...details,
    ms: performance.now() - began,
    counted: { ...each.counted },
  })
  if (skip !== undefined) return ended('skipped', { reason: skip })
  try {
    await each.run()
    return knownGap === undefined ? ended('passed') : ended('known gap', { reason: knownGap })
  } catch (error) {
    if (error instanceof CaseSkipped) return ended('skipped', { reason: error.message })
    return ended('failed', { reason: error instanceof Error ? error.message : String(error), error })
  }
}

/** The counts as two or more lines of text. */
export function formatScorecard({ counts, promises, counted }: Scorecard): string {
  const rows = [...promises].map(([promise, { passed, run }]) => `  promise ${promise}: ${passed} of ${run}`)
  const done = [...counted].filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`)
  const { passed, failed, skipped } = counts
  return [
    ...rows,
    ...(done.length === 0 ? [] : [`  done: ${done.join(', ')}`]),
    `${passed} passed, ${failed} failed, ${skipped} skipped, ${counts['known gap']} known gaps`,
  ].join('\n')
}
