import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import type { FillAnswer, FillQuestion } from '../fill-child.ts'
import { readFold } from '../fold-files.ts'
import { ForkedChild } from '../forked-child.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { withSmallDisk } from '../small-disk.ts'
import { StoreHarness } from '../store-harness.ts'
import type { OutsideFault, StoreSuite } from '../store-suite.ts'

const DISK_BYTES = 6 * 1024 * 1024
const BALLAST_BYTES = 1024 * 1024
const TIMES_FULL = 2
/** In blocks of 512 bytes, or of 1,024 in some shells. */
const FILE_BLOCKS = 1_024
/** More than fit on the disk or under the limit. */
const TOO_MANY = 2_500
const SYNCS = 'fsync,fdatasync,ftruncate,msync'
const CALLS = `write,pwrite64,pwritev,pwritev2,${SYNCS}`
const RUNS = 5

const needs =
  (fault: OutsideFault) =>
  ({ features, outsideFaults = false }: StoreSuite): string | undefined => {
    if (!features.durable) return 'not durable'
    const asked = typeof outsideFaults === 'boolean' ? outsideFaults : outsideFaults.includes(fault)
    return asked ? undefined : `the outsideFaults of the suite leave ${fault} out`
  }

export const outsideCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'outside/small-disk',
    title:
      'on a disk that fills up an apply is refused with a typed error, nothing acknowledged is lost, and with room again it goes on',
    promise: 9,
    needs: needs('small-disk'),
    run: (suite, tally) =>
      inPlace(suite, async ({ module, path }) =>
        withSmallDisk(DISK_BYTES, async (disk) => {
          const fold = join(disk, basename(path))
          const ballast = Array.from({ length: TIMES_FULL }, (_, i) => join(disk, `ballast-${i}`))
          for (const file of ballast) await writeFile(file, new Uint8Array(BALLAST_BYTES))
          for (const [time, file] of ballast.entries()) {
            const filled = await ask({ module, path: fold, commits: TOO_MANY })
            mustBeRefused(filled, `a disk full for time ${time + 1}`)
            const kept = await ask({ module, path: fold, commits: 0 })
            mustHold(kept, filled.acknowledged, 'opened while the disk is full', 'refusable')
            await rm(file)
            const roomy = await ask({ module, path: fold, commits: 3 })
            mustHold(roomy, filled.acknowledged, 'opened with room again')
            assert.equal(roomy.code, undefined, 'with room again it takes more')
            tally('full disks')
          }
        }),
      ),
  },
  {
    id: 'outside/file-limit',
    title:
      'at the limit on the size of files an apply is refused with a typed error, and without the limit it goes on',
    promise: 9,
    needs: needs('file-limit'),
    run: (suite) =>
      inPlace(suite, async ({ module, path }) => {
        if (process.platform === 'win32') throw new CaseSkipped('Windows has no such limit')
        const launcher = ['sh', '-c', `ulimit -f ${FILE_BLOCKS} && exec "$@"`, 'sh']
        const filled = await ask({ module, path, commits: TOO_MANY }, launcher)
        mustBeRefused(filled, 'a write beyond the limit')
        const freed = await ask({ module, path, commits: 3 })
        mustHold(freed, filled.acknowledged, 'opened without the limit')
        assert.equal(freed.code, undefined, 'without the limit it takes more')
      }),
  },
  {
    id: 'outside/failing-calls',
    title:
      'system calls on its files that fail become typed errors; what opens afterwards is committed and holds all that was acknowledged',
    promise: 9,
    needs: needs('failing-calls'),
    run: (suite, tally) => withFailing(CALLS, 12, suite, tally),
  },
  {
    id: 'outside/failing-syncs',
    title:
      'the same of syncs and of changes of the size of its files alone, for an engine that a failed write may end',
    promise: 9,
    needs: needs('failing-syncs'),
    run: (suite, tally) => withFailing(SYNCS, 4, suite, tally),
  },
]

interface Place {
  readonly module: string
  readonly path: string
}

/** Processes one after the other, in each of which one of the first `among` of these calls fails, and maybe all after it. */
async function withFailing(calls: string, among: number, suite: StoreSuite, tally: Tally): Promise<void> {
  await inPlace(suite, async ({ module, path }) => {
    await mustHaveStrace()
    const random = new SeededRandom(chooseSeed(suite.seed))
    await ask({ module, path, commits: 4 })
    let failed = 0
    for (let run = 0; run < RUNS; run++) {
      const error = random.pick(['EIO', 'ENOSPC'])
      const when = `${1 + random.below(among)}${random.pick(['', '+'])}`
      failed += await failCalls({ module, path, calls, error, when }, tally)
    }
    if (failed === 0) throw new CaseSkipped(`no call of ${calls} was made on its files`)
  })
}

async function inPlace(suite: StoreSuite, body: (place: Place) => Promise<void>): Promise<void> {
  await StoreHarness.with(suite, async ({ fixture: { childModule, path } }) => {
    if (childModule === undefined || path === undefined)
      throw new CaseSkipped('the fixture has no childModule and path')
    await body({ module: childModule.href, path })
  })
}

/** One process whose calls on the fold's files fail; 1 when one did. */
async function failCalls(
  { module, path, calls, error, when }: Place & Readonly<Record<'calls' | 'error' | 'when', string>>,
  tally: Tally,
): Promise<number> {
  const files = [...(await readFold(path)).keys()].flatMap((file) => ['-P', join(path, file)])
  const inject = ['-e', `trace=${calls}`, '-e', `inject=${calls}:error=${error}:when=${when}`]
  // One thread for all file calls, because strace counts those of each thread.
  const launcher = [
    'env',
    'UV_THREADPOOL_SIZE=1',
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    ...files,
    ...inject,
  ]
  const what = `call ${when} on its files failed with ${error}`
  const troubled = await ask({ module, path, commits: 12 }, launcher)
  assert.equal(troubled.untyped, undefined, `${what}: a typed error`)
  assert.equal(troubled.wrong, undefined, `${what}: what it shows`)
  if (troubled.again !== undefined)
    assert.notEqual(troubled.again, 'accepted', `${what}: another apply to that handle`)
  mustHold(await ask({ module, path, commits: 2 }), troubled.acknowledged, `${what}, opened again`)
  if (troubled.code === undefined) return 0
  tally('failing system calls')
  return 1
}

async function ask(question: FillQuestion, launcher?: readonly string[]): Promise<FillAnswer> {
  const child = ForkedChild.start('fill-child', launcher)
  try {
    return await child.ask<FillAnswer>(question)
  } finally {
    await child.kill()
  }
}

function mustBeRefused(filled: FillAnswer, what: string): void {
  assert.equal(filled.untyped, undefined, `${what}: a typed error`)
  assert.notEqual(filled.openedAt, undefined, `${what}: it opened before, not ${filled.code}`)
  assert.ok(
    filled.code === 'Io' || filled.code === 'Backend',
    `${what} is refused with Io or Backend, not ${filled.code}`,
  )
  assert.equal(filled.wrong, undefined, `${what}: reads after the refusal show the last commit`)
  assert.notEqual(filled.again, 'accepted', `${what}: another apply to the handle that refused one`)
}

function mustHold(found: FillAnswer, acknowledged: number, when: string, refusable?: 'refusable'): void {
  assert.equal(found.untyped, undefined, `${when}: a typed error`)
  if (found.openedAt === undefined && refusable !== undefined) {
    assert.ok(found.code === 'Io' || found.code === 'Backend', `${when}: Io or Backend, not ${found.code}`)
    return
  }
  assert.ok(found.openedAt !== undefined, `${when}: it opens, not ${found.code}`)
  assert.ok(
    found.openedAt >= acknowledged,
    `${when}: ${acknowledged} was acknowledged, the fold is at ${found.openedAt}`,
  )
  assert.equal(found.wrong, undefined, `${when}: it holds the commit of its cursor`)
}

async function mustHaveStrace(): Promise<void> {
  await promisify(execFile)('strace', ['-qq', '-o', '/dev/null', 'true']).catch(() => {
    throw new CaseSkipped('there is no strace here, or it may not trace')
  })
}
