import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KvError, SnapshotError, WatchCursor, type SourceDescription, type WatchScope } from '@slip/kv-core'
import type { NatsConnection } from '@slip/nats'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { withConnection } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { bucketFindings } from '../doctor/bucket-findings.ts'
import { failure, ok, type Finding } from '../doctor/finding.ts'
import { foldFindings, type FoldFacts } from '../doctor/fold-findings.ts'
import { watchFinding } from '../doctor/watch-finding.ts'
import { foldPrefixes } from '../fold/binding-line.ts'
import { foldAddress, mustExist } from '../fold/fold-address.ts'
import { backendOf, type OpenedFold } from '../fold/fold-backend.ts'
import { EXIT, explain } from '../output/exit-code.ts'
import { withoutSecrets } from '../output/secrets.ts'

export const doctor: Command = {
  name: 'doctor',
  words: ['BUCKET'],
  summary: 'Looks for what would trouble a follower of a bucket.',
  details:
    'Changes nothing. A line a finding: {check, level: ok | warn | fail, message, fix}. Checks: connection, bucket, storage, eviction (what drop and keep mean there), history, room, watch; with --fold also fold, binding, resume (what a follower would do), count, disk.',
  options: {
    fold: { value: 'FOLD', help: 'a fold of the bucket, log:PATH or lmdb:PATH' },
    ...CONNECTION_OPTIONS,
  },
  exits: ['1  a check failed'],
  example: 'slip doctor routes --fold log:./routes.slip',
  async run({ words: [name = ''], options, output }) {
    let failed = false
    const tell = async (finding: Finding): Promise<void> => {
      const { check, level, fix } = finding
      const message = withoutSecrets(finding.message)
      failed ||= level === 'fail'
      const remedy = fix === '' ? '' : `\n${' '.repeat(17)}${fix}`
      await output.answer(
        { check, level, message, fix },
        `${level.padEnd(4)} ${check.padEnd(11)} ${message}${remedy}`,
      )
    }
    const fold = await foldFacts(options.text('fold'))
    if ('level' in fold) await tell(fold)
    const scope = 'lineage' in fold ? scopeOf(fold.lineage) : 'all'
    const described = await told(tell, 'connection', async () =>
      withConnection(options, async (connection) => await examine(connection, name, scope, tell)),
    )
    if (described !== undefined && 'lineage' in fold)
      for (const finding of foldFindings(fold, described)) await tell(finding)
    return failed ? EXIT.no : EXIT.done
  },
}

/** What the bucket says of itself in `scope`; undefined when it cannot be asked. */
async function examine(
  connection: NatsConnection,
  name: string,
  scope: WatchScope,
  tell: (finding: Finding) => Promise<void>,
): Promise<SourceDescription | undefined> {
  const { maxValueBytes } = connection.capabilities
  await tell(ok('connection', `connected; the server takes values of up to ${maxValueBytes} bytes`))
  return await told(tell, 'bucket', async () => {
    const info = await connection.bucketInfo(name)
    const { watcher } = await connection.store(name)
    const described = await watcher.describe(scope)
    for (const finding of bucketFindings(info, described.evictsCurrentValues)) await tell(finding)
    const after = WatchCursor.fromRevision(described.lastRevision ?? 0n)
    await tell(await watchFinding(watcher, scope, after))
    return described
  })
}

/** A source that cannot be used is a finding and no error of the command. */
async function told<R>(
  tell: (finding: Finding) => Promise<void>,
  check: string,
  ask: () => Promise<R>,
): Promise<R | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (!KvError.is(error)) throw error
    await tell(failure(check, error.message, explain(error).hint))
    return undefined
  }
}

async function foldFacts(text: string | undefined): Promise<FoldFacts | Finding | { readonly given: false }> {
  if (text === undefined) return { given: false }
  const address = foldAddress(text)
  await mustExist(address)
  const backend = await backendOf(address)
  let reader: OpenedFold
  try {
    reader = await backend.open(address.path)
  } catch (error) {
    if (!SnapshotError.is(error)) throw error
    return failure('fold', error.message, explain(error).hint)
  }
  try {
    const { bavail, bsize } = await statfs(dirname(address.path))
    const { generation, cursor, lineage, recovery, holder, stats } = reader
    return {
      backend: backend.name,
      generation,
      cursor,
      lineage,
      holder,
      entries: stats.entries,
      deletedKeys: stats.deletedKeys,
      bytes: stats.bytes,
      freeBytes: bavail * bsize,
      torn: recovery,
      usage: await reader.usage?.(),
    }
  } finally {
    await reader.close()
  }
}

function scopeOf(lineage: Uint8Array | undefined): WatchScope {
  const prefixes = foldPrefixes(lineage)
  return prefixes === undefined || prefixes.includes('') ? 'all' : { prefixes }
}
