import { WatchCursor, type ArtifactPosition, type Protocol } from '@slip/kv-core'
import type { Action, Model, Property } from '../explorer/model.ts'
import {
  AncestorShape,
  DONE,
  EXPORTED,
  IDLE,
  IMPORTED,
  MISSED,
  READ,
  STALE,
  START,
  SYNCED,
  TORN,
  UPLOADED,
  type AncestorFields,
  type AncestorOptions,
  type AncestorState as S,
} from './ancestor-state.ts'
import { asked, type Properties } from './asked.ts'
import { remembered } from './remembered.ts'

const EXPORTER = ['', 'exported', 'uploaded', 'done']
const IMPORTER = ['', 'read', 'imported', 'torn', 'missed', 'synced', 'stale']

/**
 * The ancestor's own model of how artifacts are exported and imported, of one history and one key that is deleted at most
 * once, with its actions and properties: its authors published how many states it has. The decisions are ours.
 */
export function ancestorModel(options: AncestorOptions, rules: Protocol): Model<AncestorFields> {
  const shape = new AncestorShape(options)
  const { transport, resync, revisions } = options
  const swaps = transport === 'pointer'
  const at = (cursor: number): ArtifactPosition => ({
    family: 'interchange',
    cursor: WatchCursor.fromRevision(BigInt(cursor)),
    binding: undefined,
  })
  const mayPublish = remembered((candidate: number, pointer: number) => {
    const input = { candidate: at(candidate), pointer: pointer === 0 ? undefined : at(pointer) }
    return rules.publish({ ...input, source: undefined }) === 'publish'
  })
  const mayPrune = remembered((payload: number, pointer: number) =>
    rules.prunable({
      payload: { rank: BigInt(shape.cursorOf(payload)), incarnation: undefined },
      pointer: { rank: BigInt(shape.cursorOf(pointer)), incarnation: undefined },
      isTarget: payload === pointer,
      ageMs: 1,
      graceMs: 1,
    }),
  )
  const isOverrun = remembered((cursor: number, floor: number) =>
    rules.overrun({
      revision: BigInt(cursor),
      firstRevision: BigInt(floor + 1),
      appliedAtMs: undefined,
      evictsCurrentValues: undefined,
      evictsAfterMs: undefined,
      serverTimeMs: undefined,
      evictionSeen: false,
    }),
  )
  const action = (name: string, step: (s: S) => boolean): Action<AncestorFields> => ({ name, step })
  const each = (name: string, step: (s: S, n: number) => boolean): Action<AncestorFields>[] =>
    shape.exporters.map((n) => action(`${name} ${n}`, (s) => step(s, n)))

  return {
    name: options.name,
    layout: shape.layout,
    actions: [
      action('write', write),
      action('delete the key', (s) => {
        if (s.deletedAt > 0 || !write(s)) return false
        s.deletedAt = s.head
        return true
      }),
      action('compact', (s) => {
        if (s.floor === s.head) return false
        s.floor++
        return true
      }),
      ...each('apply', (s, n) => {
        if (s.applied.at(n) === s.head) return false
        s.applied.set(n, s.applied.at(n) + 1)
        return true
      }),
      ...each('export', doExport),
      ...each('upload', upload),
      ...each('publish', doPublish),
      ...each('crash', (s, n) => {
        if (s.exporter.at(n) !== EXPORTED && s.exporter.at(n) !== UPLOADED) return false
        becomesIdle(s, n)
        return true
      }),
      ...each('next round', (s, n) => {
        if (s.exporter.at(n) !== DONE || s.applied.at(n) <= s.cursor.at(n)) return false
        becomesIdle(s, n)
        return true
      }),
      ...(swaps ? [action('prune', prune)] : []),
      action('read the manifest', (s) => {
        if (s.importer !== START || s.manifest === 0) return false
        s.importer = READ
        s.got = s.manifest
        return true
      }),
      action('read the payload', readPayload),
      action('retry', (s) => {
        if (s.importer !== TORN && s.importer !== MISSED) return false
        s.importer = START
        return true
      }),
      action('resume', (s) => {
        if (s.importer !== IMPORTED) return false
        const repaired = resync !== 'none' && isOverrun(shape.cursorOf(s.got), s.floor)
        s.importer = repaired ? SYNCED : followed(s)
        return true
      }),
      ...(resync === 'degrade'
        ? [
            action('resume, and the repair fails', (s) => {
              if (s.importer !== IMPORTED || !isOverrun(shape.cursorOf(s.got), s.floor)) return false
              s.importer = followed(s)
              return true
            }),
          ]
        : []),
    ],
    ...asked(properties(), (name) => options.asks?.includes(name) ?? true),
    columns: {
      log: (s) => `${s.floor} to ${s.head}${s.deletedAt === 0 ? '' : `, deleted at ${s.deletedAt}`}`,
      ...Object.fromEntries(
        shape.exporters.map((n) => [`exporter ${n}`, (s: S): string => shownExporter(s, n)]),
      ),
      ...(swaps ? {} : { payload: (s: S) => shape.show(s.payload) }),
      [swaps ? 'pointer' : 'manifest']: (s) => shape.show(s.manifest),
      ...(swaps
        ? {
            payloads: (s: S) =>
              shape.artifacts
                .filter((a) => isThere(s, a))
                .map((a) => shape.show(a))
                .join(', '),
          }
        : {}),
      importer: (s) => `${IMPORTER[s.importer]} ${shape.show(s.got)}`.trim(),
    },
  }

  function write(s: S): boolean {
    if (s.head === revisions) return false
    s.head++
    return true
  }

  function becomesIdle(s: S, n: number): void {
    s.exporter.set(n, IDLE)
    s.cursor.set(n, 0)
    s.hasKey.set(n, 0)
  }

  function hadKey(s: S, cursor: number): boolean {
    return s.deletedAt === 0 || cursor < s.deletedAt
  }

  function doExport(s: S, n: number): boolean {
    const cursor = s.applied.at(n)
    if (s.exporter.at(n) !== IDLE || cursor === 0) return false
    s.exporter.set(n, EXPORTED)
    s.cursor.set(n, cursor)
    s.hasKey.set(n, hadKey(s, cursor) ? 1 : 0)
    return true
  }

  function held(s: S, n: number): number {
    return shape.artifact(n, s.cursor.at(n), s.hasKey.at(n))
  }

  function upload(s: S, n: number): boolean {
    if (s.exporter.at(n) !== EXPORTED) return false
    if (swaps) s.uploaded.set(held(s, n) - 1, 1)
    else s.payload = held(s, n)
    s.exporter.set(n, UPLOADED)
    return true
  }

  function doPublish(s: S, n: number): boolean {
    if (s.exporter.at(n) !== UPLOADED) return false
    const pointer = shape.cursorOf(s.manifest)
    if (swaps && !mayPublish(s.cursor.at(n), pointer)) s.refused = 1
    else {
      if (pointer > s.cursor.at(n)) s.regressed = 1
      s.manifest = held(s, n)
    }
    s.exporter.set(n, DONE)
    s.hasKey.set(n, 0)
    return true
  }

  function isThere(s: S, artifact: number): boolean {
    return s.uploaded.at(artifact - 1) === 1
  }

  /** Whenever an older payload than the pointer's is there. */
  function prune(s: S): boolean {
    const { manifest } = s
    const older = (a: number): boolean => isThere(s, a) && shape.cursorOf(a) < shape.cursorOf(manifest)
    if (manifest === 0 || !shape.artifacts.some(older)) return false
    for (const a of shape.artifacts) if (isThere(s, a) && mayPrune(a, manifest)) s.uploaded.set(a - 1, 0)
    return true
  }

  function readPayload(s: S): boolean {
    if (s.importer !== READ) return false
    const found = swaps ? isThere(s, s.got) : s.payload === s.got
    if (found) s.importer = IMPORTED
    else {
      s.importer = swaps ? MISSED : TORN
      s.got = 0
    }
    return true
  }

  /** A fold that went on from its cursor, with what the log still had. */
  function followed(s: S): number {
    const wasDelivered = s.floor <= shape.cursorOf(s.got) || s.deletedAt > s.floor
    return wasDelivered || s.deletedAt === 0 || !shape.hasKey(s.got) ? SYNCED : STALE
  }

  function shownExporter(s: S, n: number): string {
    const cursor = s.cursor.at(n) || s.applied.at(n)
    return `${EXPORTER[s.exporter.at(n)]} @${cursor}`.trim()
  }

  function properties(): Properties<AncestorFields> {
    const resolves: Property<AncestorFields> = (s) => s.manifest === 0 || isThere(s, s.manifest)
    return {
      always: {
        'the pointer does not go back': (s) => s.regressed === 0,
        'no importer is ahead of the pointer': (s) => shape.cursorOf(s.got) <= shape.cursorOf(s.manifest),
        'what an importer reads fits together': (s) => s.importer !== TORN,
        ...(swaps
          ? {
              'the pointer resolves': resolves,
              'only what the pointer named before is missed': (s: S) => s.importer !== MISSED || resolves(s),
            }
          : {}),
        'what is imported is the fold of one exporter': (s) =>
          (s.importer !== IMPORTED && s.importer < SYNCED) ||
          (shape.cursorOf(s.got) <= s.head && shape.hasKey(s.got) === hadKey(s, shape.cursorOf(s.got))),
        'no importer ends with a deleted key': (s) => s.importer !== STALE,
      },
      sometimes: {
        ...(swaps
          ? {
              'an older artifact is refused': (s: S) => s.refused === 1,
              'a payload is pruned before it is read': (s: S) => s.importer === MISSED,
            }
          : {}),
        'an importer is synced': (s) => s.importer === SYNCED,
        'a publisher has its next artifact in hand, and the pointer its last': (s) => {
          if (s.manifest === 0) return false
          const phase = s.exporter.at(shape.exporterOf(s.manifest))
          return phase === EXPORTED || phase === UPLOADED
        },
      },
      terminal: { 'at the end the importer is synced': (s) => s.importer === SYNCED },
    }
  }
}
