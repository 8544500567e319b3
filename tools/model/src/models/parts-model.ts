import type { Protocol } from '@slip/kv-core'
import type { Model } from '../explorer/model.ts'
import { asked, type Properties } from './asked.ts'
import { PartsNewcomer } from './parts-newcomer.ts'
import { PartsPruner } from './parts-pruner.ts'
import { PartsPublisher } from './parts-publisher.ts'
import {
  AGAIN,
  BROUGHT,
  FETCHING,
  MADE,
  MISSED,
  PartsShape,
  REBASING,
  SEAL_AGAIN,
  SPOILT,
  type PartsFields,
  type PartsOptions,
  type PartsState as S,
} from './parts-state.ts'
import { actionsOf } from './publishers.ts'

const PUBLISHER = [
  '',
  'looked',
  'laid',
  'sent',
  'fits',
  'sends its base',
  'sealed',
  'to send again',
  'to seal again',
  'done',
]

/** Artifacts in parts, which several publish upon each other under one name, while others prune, and a node that fetches them. */
export function partsModel(options: PartsOptions, rules: Protocol): Model<PartsFields> {
  const shape = new PartsShape(options)
  const { lists } = shape
  const publisher = new PartsPublisher(shape, rules)
  const pruner = new PartsPruner(shape, rules)
  const newcomer = new PartsNewcomer(shape, rules)
  const { crashes = true, slowPruner = true, newcomer: downloads = true } = options
  const { step, each } = actionsOf<PartsFields>(shape.publishers)
  const isMade = (s: S, artifact: number): boolean => {
    const list = s.archives.at(artifact - 1)
    return list > 0 && lists.contents[list]!.chain.every((part) => s.parts.at(part) === 1)
  }
  /** Whoever moved the pointer there is about to send what it names again. */
  const comesAgain = (s: S): boolean =>
    shape.publishers.some(
      (n) =>
        (s.publisher.at(n) === AGAIN || s.publisher.at(n) === SEAL_AGAIN) && shape.held(s, n) === s.pointer,
    )

  return {
    name: options.name,
    layout: shape.layout,
    actions: [
      ...(shape.eras > 1 ? [step('recreate the bucket', recreate, true)] : []),
      ...each('applies', (s, n) => publisher.apply(s, n)),
      ...(shape.eras > 1 ? each('rebuilds its fold', (s, n) => publisher.rebuild(s, n)) : []),
      ...each('exports', (s, n) => publisher.export(s, n)),
      ...each('lays a base', (s, n) => publisher.layBase(s, n)),
      ...each('lays a layer', (s, n) => publisher.layLayer(s, n, false)),
      ...each('lays a layer for all', (s, n) => publisher.layLayer(s, n, true)),
      ...each('sends its part', (s, n) => publisher.send(s, n)),
      ...each('looks again', (s, n) => publisher.lookAgain(s, n)),
      ...each('puts its archive', (s, n) => publisher.seal(s, n)),
      ...each('swaps the pointer', (s, n) => publisher.swap(s, n)),
      ...(crashes ? each('crashes', (s, n) => publisher.crash(s, n), true) : []),
      ...shape.artifacts.map((a) => step(`prune ${shape.show(a)}`, (s) => pruner.payload(s, a), true)),
      ...lists.parts.map((_, x) => step(`prune ${lists.showPart(x)}`, (s) => pruner.part(s, x), true)),
      ...(slowPruner
        ? [
            ...lists.parts.map((_, x) =>
              step(`begin to prune ${lists.showPart(x)}`, (s) => pruner.begin(s, x), true),
            ),
            step('who prunes looks into a payload', (s) => pruner.look(s), true),
            step('who prunes looks at the pointer again', (s) => pruner.lookAgain(s), true),
            step('who prunes deletes', (s) => pruner.delete(s), true),
          ]
        : []),
      ...(downloads
        ? [
            step('the newcomer reads the pointer', (s) => newcomer.readPointer(s)),
            step('the newcomer reads the list', (s) => newcomer.readList(s)),
            step('the newcomer fetches a part', (s) => newcomer.fetch(s)),
            step('the newcomer wants the next', (s) => newcomer.beginAgain(s), true),
            step('the newcomer crashes', (s) => newcomer.crash(s), true),
            step('the newcomer loses what it has', (s) => newcomer.lose(s), true),
          ]
        : []),
    ],
    ...asked(properties(), (name) => options.except?.includes(name) !== true),
    settles: true,
    columns: {
      ...Object.fromEntries(
        shape.publishers.map((n) => [
          `p${n}`,
          (s: S): string =>
            `${s.foldEra.at(n)}.${s.cursor.at(n)} ${PUBLISHER[s.publisher.at(n)]} ${lists.show(s.made.at(n))}`.trim(),
        ]),
      ),
      pointer: (s) => shape.show(s.pointer),
      archives: (s) =>
        shape.artifacts
          .filter((a) => s.archives.at(a - 1) > 0)
          .map((a) => `${shape.show(a)}: ${lists.show(s.archives.at(a - 1))}`)
          .join('; '),
      parts: (s) =>
        lists.parts.flatMap((_, x) => (s.parts.at(x) === 1 ? [lists.showPart(x)] : [])).join(', '),
      pruning: (s) => (s.doomed === 0 ? '' : `${lists.showPart(s.doomed - 1)} by ${shape.show(s.pruning)}`),
      newcomer: (s) => `${s.has === 0 ? '' : `s${s.has} `}${newcomerShown(s)} ${shape.show(s.got)}`.trim(),
    },
  }

  function recreate(s: S): boolean {
    if (s.era + 1 === shape.eras) return false
    s.era++
    return true
  }

  function newcomerShown({ newcomer: phase }: S): string {
    if (phase >= FETCHING && phase < MISSED) return 'fetching'
    return { 0: '', 1: 'pointed to', [MISSED]: 'missed', [MADE]: 'made', [SPOILT]: 'spoilt' }[phase] ?? ''
  }

  function properties(): Properties<PartsFields> {
    const published = (s: S, n: number, phase: number): boolean => s.publisher.at(n) === phase
    return {
      always: {
        'the pointer does not go back': (s) => s.wentBack === 0,
        'the pointer resolves to all its parts': (s) =>
          s.pointer === 0 || isMade(s, s.pointer) || comesAgain(s),
        'what is missed is what the pointer named before': (s) =>
          s.newcomer !== MISSED || s.pointer !== s.got || comesAgain(s),
        'what is made of what was here is what is wanted': (s) => s.newcomer !== SPOILT,
      },
      sometimes: {
        'a pointer has layers': (s) =>
          s.pointer > 0 && lists.takenOver(s.archives.at(s.pointer - 1)).length > 0 && isMade(s, s.pointer),
        'what was laid upon is there no more': (s) =>
          shape.publishers.some(
            (n) =>
              published(s, n, BROUGHT) &&
              !lists.contents[s.made.at(n)]!.chain.every((x) => s.parts.at(x) === 1),
          ),
        ...(options.twins === true
          ? { 'an archive is replaced': (s: S) => shape.publishers.some((n) => published(s, n, REBASING)) }
          : {}),
        ...(downloads
          ? { 'a part is pruned before it is fetched': (s: S) => s.newcomer === MISSED && s.gotList > 0 }
          : {}),
      },
      terminal: {
        'at rest the pointer names the newest of the bucket': (s) =>
          s.pointer > 0 && shape.stateOf(s.pointer) === shape.newest(s),
        ...(downloads
          ? { 'at rest the newcomer has what a pointer named': (s: S) => s.newcomer === MADE && s.has > 0 }
          : {}),
      },
    }
  }
}
