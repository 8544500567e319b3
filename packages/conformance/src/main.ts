#!/usr/bin/env node
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ConformanceCase } from './conformance-case.ts'
import { formatScorecard, scorecard, type CaseResult } from './scorecard.ts'
import { sourceCases } from './source-cases.ts'
import type { SourceSuite } from './source-suite.ts'
import { storeCases } from './store-cases.ts'
import type { StoreSuite } from './store-suite.ts'

const USAGE =
  'usage: slip-conformance MODULE   (a module that exports `suite`: a StoreSuite or a SourceSuite)\n'

const [modulePath] = process.argv.slice(2)
process.exitCode = modulePath === undefined ? misused('') : await judge(modulePath)

async function judge(path: string): Promise<number> {
  let cases: readonly ConformanceCase[]
  try {
    const loaded = (await import(pathToFileURL(resolve(path)).href)) as {
      readonly suite?: StoreSuite | SourceSuite
    }
    if (loaded.suite === undefined) return misused(`${path} exports no suite\n`)
    cases = isStoreSuite(loaded.suite) ? storeCases(loaded.suite) : sourceCases(loaded.suite)
  } catch (error) {
    return misused(`${path}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
  const card = await scorecard(cases, (result) => process.stdout.write(line(result)))
  process.stdout.write(`${formatScorecard(card)}\n`)
  return card.ok ? 0 : 1
}

function line({ id, title, outcome, reason, ms }: CaseResult): string {
  const tail = reason === undefined ? '' : `\n    ${reason.replaceAll('\n', '\n    ')}`
  return `${outcome.padEnd(9)} ${id}: ${title} (${Math.round(ms)} ms)${tail}\n`
}

function isStoreSuite(suite: StoreSuite | SourceSuite): suite is StoreSuite {
  return 'maxKeyBytes' in suite.features
}

function misused(message: string): number {
  process.stderr.write(`${message}${USAGE}`)
  return 1
}
