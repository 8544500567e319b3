#!/usr/bin/env node
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseCommandLine, USAGE, type Invocation } from './command-line.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { moduleSuite } from './module-suite.ts'
import { runCounts } from './run-counts.ts'
import { formatScorecard, scorecard, type CaseResult } from './scorecard.ts'
import { chooseSeed } from './seeded-random.ts'
import { sourceCases } from './source-cases.ts'
import type { SourceSuite } from './source-suite.ts'
import { storeCases } from './store-cases.ts'
import type { StoreSuite } from './store-suite.ts'

process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number> {
  let invocation: Invocation | 'help'
  try {
    invocation = parseCommandLine(args)
  } catch (error) {
    process.stderr.write(`slip-conformance: ${messageOf(error)}\n\n${USAGE}`)
    return 2
  }
  if (invocation === 'help') {
    process.stdout.write(USAGE)
    return 0
  }
  try {
    const { cases, seed } = await casesOf(invocation)
    return invocation.list ? list(cases) : await judge(cases, seed, invocation.json)
  } catch (error) {
    process.stderr.write(`slip-conformance: ${invocation.module}: ${messageOf(error)}\n`)
    return 2
  }
}

interface Chosen {
  readonly cases: readonly ConformanceCase[]
  readonly seed: number
}

/** The cases of what the module exports. The command line's seed and counts win over the suite's own. */
async function casesOf({ module, seed: asked, counts, only }: Invocation): Promise<Chosen> {
  const path = resolve(module)
  if ((await stat(path).catch(() => undefined)) === undefined) throw new Error('there is no such file')
  const url = pathToFileURL(path)
  const exported = (await import(url.href)) as {
    readonly suite?: StoreSuite | SourceSuite
    readonly default?: unknown
  }
  if (exported.suite === undefined && typeof exported.default !== 'function')
    throw new TypeError('exports no suite, and no default function that makes a SnapshotLocation from a path')
  const suite = exported.suite ?? (await moduleSuite(url))
  if (!isStoreSuite(suite)) return { cases: chosen(sourceCases(suite), only), seed: chooseSeed(asked) }
  const seed = chooseSeed(asked ?? suite.seed)
  const seeded: StoreSuite = { ...suite, seed, counts: { ...suite.counts, ...counts } }
  runCounts(seeded)
  return { cases: chosen(storeCases(seeded), only), seed }
}

function chosen(cases: readonly ConformanceCase[], only: readonly string[]): readonly ConformanceCase[] {
  for (const wanted of only)
    if (!cases.some(({ id }) => id.startsWith(wanted))) throw new RangeError(`there is no case ${wanted}`)
  return only.length === 0 ? cases : cases.filter(({ id }) => only.some((wanted) => id.startsWith(wanted)))
}

function list(cases: readonly ConformanceCase[]): number {
  for (const { id, title, skip } of cases)
    process.stdout.write(`${id}: ${title}${skip === undefined ? '' : ` [skipped: ${skip}]`}\n`)
  return 0
}

async function judge(cases: readonly ConformanceCase[], seed: number, json: boolean): Promise<number> {
  const width = `${cases.length}`.length
  let done = 0
  const card = await scorecard(cases, (result) => {
    const progress = `${`${++done}`.padStart(width)}/${cases.length}`
    process.stdout.write(json ? `${JSON.stringify(asJson(result))}\n` : line(progress, result))
  })
  const { counts, counted, ok } = card
  process.stdout.write(
    json
      ? `${JSON.stringify({ ok, seed, counts, counted: Object.fromEntries(counted) })}\n`
      : `  seed ${seed}\n${formatScorecard(card)}\n`,
  )
  return ok ? 0 : 1
}

function line(progress: string, { id, title, outcome, reason, ms }: CaseResult): string {
  const tail = reason === undefined ? '' : `\n    ${reason.replaceAll('\n', '\n    ')}`
  return `${progress} ${outcome.padEnd(9)} ${id}: ${title} (${Math.round(ms)} ms)${tail}\n`
}

function asJson({ error: _error, ms, ...result }: CaseResult): object {
  return { ...result, ms: Math.round(ms) }
}

function isStoreSuite(suite: StoreSuite | SourceSuite): suite is StoreSuite {
  return 'maxKeyBytes' in suite.features
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
