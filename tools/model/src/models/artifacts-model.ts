import type { Protocol } from '@slip/kv-core'
import type { Model } from '../explorer/model.ts'
import { ArtifactsNewcomer } from './artifacts-newcomer.ts'
import { ArtifactsPublisher } from './artifacts-publisher.ts'
import { asked, type Properties } from './asked.ts'
import {
  AGAIN,
  ArtifactsShape,
  DIVERGED,
  DONE,
  FOREIGN,
  IMPORTED,
  JUDGED,
  LIVE,
  MISSED,
  type ArtifactsFields,
  type ArtifactsOptions,
  type ArtifactsState as S,
} from './artifacts-state.ts'
import { actionsOf } from './publishers.ts'

const PUBLISHER = ['', 'to send', 'sent', 'read', 'judged', 'to send again', 'done']
const NEWCOMER = ['', 'pointed to', 'missed', 'fetched', 'imported', 'live', 'diverged', 'of another history']

/** Artifacts that several publish under one name, while others prune, and a node that starts from them. */
export function artifactsModel(options: ArtifactsOptions, rules: Protocol): Model<ArtifactsFields> {
  const shape = new ArtifactsShape(options)
  const publisher = new ArtifactsPublisher(shape, rules)
  const newcomer = new ArtifactsNewcomer(shape, rules)
  const { revisions, crashes = true, lostAnswers = false, bounded = false, histories = 'dated' } = options
  const { step, each } = actionsOf<ArtifactsFields>(shape.publishers)
  const write = (s: S): boolean => {
    if (s.head === revisions[s.era]) return false
    s.head++
    return true
  }
  const isThere = (s: S, artifact: number): boolean => s.payloads.at(artifact - 1) === 1
  /** Or whoever moved it there is about to send its payload again. */
  const resolves = (s: S): boolean =>
    s.pointer === 0 ||
    isThere(s, s.pointer) ||
    shape.publishers.some((n) => s.publisher.at(n) === AGAIN && shape.held(s, n) === s.pointer)
  const isCurrent = (s: S, artifact: number): boolean => shape.eraOf(artifact) === s.era

  /** Of one history with the pointer. */
  const isBehind = (s: S, n: number): boolean =>
    s.pointer > 0 && shape.eraOf(s.pointer) === s.foldEra.at(n) && s.cursor.at(n) < shape.cursorOf(s.pointer)

  return {
    name: options.name,
    layout: shape.layout,
    actions: [
      step('write', write, true),
      ...(bounded
        ? [
            step(
              'delete the key',
              (s) => {
                if (s.deletedAt > 0 || !write(s)) return false
                s.deletedAt = s.head
                return true
              },
              true,
            ),
            step(
              'evict the oldest',
              (s) => {
                if (s.floor === s.head) return false
                s.floor++
                return true
              },
              true,
            ),
          ]
        : []),
      ...(shape.eras > 1 ? [step('recreate the bucket', recreate, true)] : []),
      ...each('applies', (s, n) => publisher.apply(s, n)),
      ...(shape.eras > 1 ? each('rebuilds its fold', (s, n) => publisher.rebuild(s, n)) : []),
      ...each('exports', (s, n) => publisher.export(s, n)),
      ...each('sends the payload', (s, n) => publisher.send(s, n)),
      ...each('reads the pointer', (s, n) => publisher.readPointer(s, n)),
      ...each('asks the source', (s, n) => publisher.judge(s, n)),
      ...each('swaps the pointer', (s, n) => publisher.swap(s, n, true)),
      ...(lostAnswers
        ? each('swaps the pointer, and does not hear of it', (s, n) => publisher.swap(s, n, false), true)
        : []),
      ...(crashes ? each('crashes', (s, n) => publisher.crash(s, n), true) : []),
      step('begin to prune', (s) => publisher.beginToPrune(s), true),
      ...shape.artifacts.map((a) => step(`prune ${shape.show(a)}`, (s) => publisher.prune(s, a), true)),
      step('the newcomer reads the pointer', (s) => newcomer.readPointer(s)),
      step('the newcomer fetches', (s) => newcomer.fetch(s)),
      step('the newcomer imports', (s) => newcomer.import(s)),
      step('the newcomer starts without', (s) => newcomer.startWithout(s)),
      step('the newcomer attaches', (s) => newcomer.attach(s)),
      step('the newcomer loses what it has', (s) => newcomer.lose(s), true),
    ],
    ...asked(properties(), (name) => options.except?.includes(name) !== true),
    settles: true,
    columns: {
      bucket: (s) =>
        `${s.era}.${s.head}${s.floor > 0 ? ` from ${s.floor + 1}` : ''}${shape.hasKey(s, s.head) ? ' k' : ''}`,
      ...Object.fromEntries(
        shape.publishers.map((n) => [
          `p${n}`,
          (s: S): string =>
            `${s.foldEra.at(n)}.${s.cursor.at(n)} ${PUBLISHER[s.publisher.at(n)]} ${shape.show(s.seen.at(n))}`.trim(),
        ]),
      ),
      pointer: (s) => shape.show(s.pointer),
      payloads: (s) =>
        shape.artifacts
          .filter((a) => isThere(s, a))
          .map((a) => shape.show(a))
          .join(', '),
      pruning: (s) => shape.show(s.pruning),
      newcomer: (s) => `${NEWCOMER[s.newcomer]} ${shape.show(s.got)}`.trim(),
    },
  }

  function recreate(s: S): boolean {
    if (s.era + 1 === shape.eras) return false
    s.era++
    s.head = 0
    s.floor = 0
    s.deletedAt = 0
    return true
  }

  function properties(): Properties<ArtifactsFields> {
    return {
      always: {
        'the pointer does not go back': (s) => s.wentBack === 0,
        'the pointer resolves': resolves,
        'only what the pointer named before is missed': (s) => s.newcomer !== MISSED || resolves(s),
        'nobody goes on from another history': (s) => s.newcomer !== FOREIGN,
        'nobody goes on to a fold that differs from the bucket': (s) => s.newcomer !== DIVERGED,
        'nobody takes a history that it does not want': (s) => s.misled === 0,
      },
      sometimes: {
        'a publisher finds the pointer moved': (s) =>
          shape.publishers.some((n) => s.publisher.at(n) === JUDGED && s.seen.at(n) !== s.pointer),
        'a payload is pruned before it is fetched': (s) => s.newcomer === MISSED,
        ...(shape.most > 1
          ? {
              'an artifact is superseded': (s: S) =>
                shape.publishers.some((n) => s.publisher.at(n) === DONE && isBehind(s, n)),
            }
          : {}),
        ...(bounded
          ? {
              'what is imported has expired': (s: S) =>
                s.newcomer === IMPORTED && isCurrent(s, s.got) && shape.cursorOf(s.got) < s.floor,
            }
          : {}),
        ...(shape.eras > 1
          ? {
              'what is imported is of a history that is over': (s: S) =>
                s.newcomer === IMPORTED && !isCurrent(s, s.got),
            }
          : {}),
        ...(shape.eras > 1 && histories !== 'dated'
          ? {
              'the pointer is moved on the word of the source': (s: S) =>
                shape.publishers.some((n) => s.publisher.at(n) === AGAIN),
            }
          : {}),
      },
      terminal: {
        'at rest the newcomer goes on with its bucket': (s) => s.newcomer === LIVE,
        'at rest the pointer names the newest of the bucket': (s) =>
          s.head === 0 || (s.pointer > 0 && isCurrent(s, s.pointer) && shape.cursorOf(s.pointer) === s.head),
      },
    }
  }
}
