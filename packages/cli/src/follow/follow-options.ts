import type { FollowOptions, SnapshotStore, SourceDescription, WatchScope } from '@slip/kv-core'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, LONGEST_TIMER, oneOf, optional, wholeNumber } from '../command/units.ts'
import { KEEP_OPTIONS, keptArtifact } from '../artifact/kept-artifact.ts'
import { mustBeObjectUrl, objectsAt } from '../artifact/object-url.ts'
import { describedBucket } from '../bucket/with-bucket.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { backendOf, type PlaceOptions } from '../fold/fold-backend.ts'
import { LOCK_OPTIONS, waitLockMs } from '../fold/lock-options.ts'
import { UsageError } from '../output/usage-error.ts'
import { publishedName } from './publishing.ts'
import { FoldPlace } from './set-aside.ts'

/** What `durability: 'interval'` means at the command line. */
const SYNC_INTERVAL_MS = 1_000
const TIMER = { least: '1ms', most: LONGEST_TIMER }

export const FOLLOW_OPTIONS: OptionSpecs = {
  fold: { value: 'FOLD', help: 'required: log:PATH or lmdb:PATH' },
  prefix: { value: 'P', help: 'only keys that start with it', multiple: true },
  once: { help: 'end when caught up and audited' },
  'when-evicted': {
    value: 'drop|keep',
    help: 'keys the bucket expired or evicted leave the fold, or stay; default drop',
  },
  repair: {
    value: 'auto|relist|restore|none',
    help: 'how a fold that fell behind is repaired; default auto',
  },
  'empty-values': {
    value: 'tombstone|keep',
    help: 'an empty value is a delete, or a value; default tombstone',
  },
  audit: { value: 'DURATION|off', help: 'how often the number of keys is compared; default 60s' },
  'stale-after': {
    value: 'DURATION',
    help: 'without proof of life for so long the state is stale; default 5s',
  },
  durability: {
    value: 'os|interval|batch',
    help: `when a write is synced: by the system, every second, each batch; default os for log:, batch for lmdb:`,
  },
  oversize: { value: 'skip|fail', help: 'a key or value the fold cannot hold; default skip' },
  'on-foreign': {
    value: 'refuse|rebuild',
    help: 'a file that is no fold, or the fold of another bucket or scope: refuse it, or set it aside; default refuse',
  },
  format: {
    value: '2|3',
    help: 'generation of the log to create; 2 is what the Rust system reads; default 3',
  },
  from: {
    value: 'URL',
    help: 'where copies of other nodes are published: a new fold starts from one, one that is far behind goes on from one, and one that fell behind under --when-evicted keep is repaired from one',
  },
  'from-behind': {
    value: 'N|off',
    help: 'with --from: how many revisions a fold may be behind before a copy is fetched; default its number of entries, and at least 10000',
  },
  ...KEEP_OPTIONS,
  ...LOCK_OPTIONS,
  metrics: {
    value: 'HOST:PORT',
    help: 'where Prometheus and slip top find /metrics, and a health check /healthz; port 0 is any, and is told on stderr',
  },
}

type CommandLineOptions = Omit<FollowOptions, 'source' | 'store'> & {
  readonly store: FoldPlace<SnapshotStore>
}

/** The options of `follow()`; UsageError for what cannot be. */
export async function followOptions(options: ParsedOptions, bucket: string): Promise<CommandLineOptions> {
  const prefixes = options.list('prefix')
  const scope: WatchScope = prefixes.length === 0 ? 'all' : { prefixes }
  const from = options.text('from')
  const keepDirectory = await keptArtifact(options, 'follow')
  if (keepDirectory !== undefined && from === undefined)
    throw new UsageError('--keep-artifact goes with --from', 'follow')
  const behind = options.text('from-behind')
  if (behind !== undefined && from === undefined)
    throw new UsageError('--from-behind goes with --from', 'follow')
  const onForeign = oneOf(options.text('on-foreign') ?? 'refuse', 'on-foreign', ['refuse', 'rebuild'])
  return {
    store: await foldPlace(options, { replaceForeign: onForeign === 'rebuild' }),
    onForeignFold: onForeign,
    ...(from === undefined ? {} : { bootstrap: artifactsAt(from, bucket, keepDirectory, options) }),
    ...optionalField('bootstrapBehind', behind, (text) =>
      text === 'off' ? false : wholeNumber(text, 'from-behind', 1),
    ),
    scope,
    ...optionalField('whenEvicted', options.text('when-evicted'), (text) =>
      oneOf(text, 'when-evicted', ['drop', 'keep']),
    ),
    ...optionalField('repair', options.text('repair'), (text) =>
      oneOf(text, 'repair', ['auto', 'relist', 'restore', 'none']),
    ),
    ...optionalField('emptyValues', options.text('empty-values'), (text) =>
      oneOf(text, 'empty-values', ['tombstone', 'keep']),
    ),
    ...optionalField('auditIntervalMs', options.text('audit'), (text) =>
      text === 'off' ? false : durationMs(text, 'audit', TIMER),
    ),
    ...optionalField('staleAfterMs', options.text('stale-after'), (text) =>
      durationMs(text, 'stale-after', TIMER),
    ),
    ...optionalField('oversize', options.text('oversize'), (text) =>
      oneOf(text, 'oversize', ['skip', 'fail']),
    ),
  }
}

/** Connections to the bucket and to where artifacts are are made when one is needed, and closed again. UsageError for a URL that is none. */
function artifactsAt(
  url: string,
  bucket: string,
  keepDirectory: string | undefined,
  options: ParsedOptions,
): NonNullable<FollowOptions['bootstrap']> {
  mustBeObjectUrl(url, 'follow')
  return async (into, wait) => {
    const objects = await objectsAt(url, options, 'follow')
    try {
      const { fromArtifact } = await import('@slip/export')
      // Of a bucket that cannot be asked the first attach says whether the history is over.
      const source = (): Promise<SourceDescription | undefined> =>
        describedBucket(options, bucket).catch(() => undefined)
      const name = publishedName(options, bucket)
      return await fromArtifact(objects, name, { source, keepDirectory })(into, wait)
    } finally {
      await objects.close?.()
    }
  }
}

async function foldPlace(
  options: ParsedOptions,
  how: { readonly replaceForeign: boolean },
): Promise<FoldPlace<SnapshotStore>> {
  const fold = options.text('fold')
  if (fold === undefined) throw new UsageError('--fold is missing', 'follow')
  const address = foldAddress(fold)
  const format = options.text('format')
  if (format !== undefined && address.backend !== 'log')
    throw new UsageError('--format is for log: folds: LMDB has one layout', 'follow')
  const place: PlaceOptions = {
    path: address.path,
    durability: optional(options.text('durability'), durabilityOf),
    format: optional(format, (text) => (oneOf(text, 'format', ['2', '3']) === '2' ? 2 : 3)),
    waitLockMs: waitLockMs(options),
  }
  return new FoldPlace((await backendOf(address)).place(place), how)
}

function durabilityOf(text: string): NonNullable<PlaceOptions['durability']> {
  const asked = oneOf(text, 'durability', ['os', 'interval', 'batch'])
  return asked === 'interval' ? { intervalMs: SYNC_INTERVAL_MS } : asked
}

function optionalField<K extends string, T>(
  name: K,
  text: string | undefined,
  read: (text: string) => T,
): { [P in K]?: T } {
  return (text === undefined ? {} : { [name]: read(text) }) as { [P in K]?: T }
}
