import type { Protocol } from '@slip/kv-core'
import type { Action, Model } from '../explorer/model.ts'
import { asked, type Properties } from './asked.ts'
import { countOf, endOf, isWhole, newestOf, numberOf } from './openers-pages.ts'
import { OpenersReader } from './openers-reader.ts'
import {
  IDLE,
  LOOKED,
  MENDING,
  openersLayout,
  SHOWN,
  WAITING,
  WRITTEN,
  type OpenersFields,
  type OpenersOptions,
  type OpenersState as S,
} from './openers-state.ts'
import { OpenersWriter } from './openers-writer.ts'

const WRITER = ['', 'set back', 'begun', 'pages written', 'header written']
const HANDLE = ['', 'loaded', 'in its slot', 'loaded again', 'shown', 'waits for a mend']

/**
 * A file of LMDB that one process writes, while others open it and read. Who opens it stores, without a lock, where
 * transactions begin, as it found that before; the writer mends it.
 */
export function openersModel(options: OpenersOptions, rules: Protocol): Model<OpenersFields> {
  const writer = new OpenersWriter(options, rules)
  const reader = new OpenersReader(options)
  const openers = Array.from({ length: options.openers }, (_, n) => n)
  const handles = Array.from({ length: 1 + (options.readers ?? options.openers) }, (_, handle) => handle)
  const nameOf = (handle: number): string => (handle === 0 ? "the writer's handle" : `p${handle}`)
  type Step = (s: S) => boolean
  const step = (name: string, take: Step, environment = false): Action<OpenersFields> => ({
    name,
    environment,
    step: take,
  })
  const each = (name: string, take: (s: S, handle: number) => boolean): Action<OpenersFields>[] =>
    handles.map((handle) => step(`${nameOf(handle)} ${name}`, (s) => take(s, handle)))
  const opener = (
    name: string,
    take: (s: S, n: number) => boolean,
    environment: boolean,
  ): Action<OpenersFields>[] =>
    openers.map((n) => step(`${nameOf(n + 1)} ${name}`, (s) => take(s, n), environment))

  return {
    name: options.name,
    layout: openersLayout(options),
    begin: (s) => s.cut.set(0, 1),
    actions: [
      step('the writer begins', (s) => writer.begin(s)),
      step('the writer looks', (s) => writer.mend(s)),
      step('the writer stores the newest', (s) => writer.storeNewest(s)),
      ...(options.slowScan === true ? [step('the writer looks at a slot', (s) => writer.scan(s))] : []),
      step('the writer writes its pages', (s) => writer.writePages(s)),
      step('the writer writes its header', (s) => writer.writeHeader(s)),
      step('the writer stores its number', (s) => writer.storeNumber(s)),
      ...opener('reads the headers', (s, n) => reader.readHeaders(s, n), true),
      ...opener('stores what it read', (s, n) => reader.storeHeader(s, n), false),
      ...opener('closes', (s, n) => reader.close(s, n), true),
      ...handles.map((handle) =>
        step(`${nameOf(handle)} begins to read`, (s) => reader.begin(s, handle), handle > 0),
      ),
      ...each('fills its slot', (s, handle) => reader.fillSlot(s, handle)),
      ...each('loads again', (s, handle) => reader.loadAgain(s, handle)),
      ...each('reads its header', (s, handle) => reader.readHeader(s, handle)),
      ...each('shows what it read', (s, handle) => reader.show(s, handle)),
    ],
    ...asked(properties(), (name) => options.except?.includes(name) !== true),
    settles: true,
    columns: {
      begins: (s) => s.begins,
      headers: (s) => [0, 1].map((page) => headerShown(s, s.headers.at(page))).join(' '),
      writer: (s) => (s.writer === IDLE ? '' : `${WRITER[s.writer]} ${inHand(s)}`.trim()),
      told: (s) => s.told,
      ...Object.fromEntries(
        handles.map((handle) => [nameOf(handle), (s: S): string => handleShown(s, handle)] as const),
      ),
      opening: (s) =>
        openers
          .filter((n) => s.opener.at(n) === LOOKED)
          .map((n) => `${nameOf(n + 1)} read ${s.header.at(n)}`)
          .join(', '),
    },
  }

  function headerShown(s: S, commit: number): string {
    const number = numberOf(s, commit)
    return number === commit ? `c${commit}` : `c${commit}=${number}`
  }

  function inHand(s: S): string {
    if (s.writer === MENDING) return ''
    const commit = s.made + (s.writer <= WRITTEN ? 1 : 0)
    const pages = s.writer === WRITTEN ? `: ${s.root.at(s.made)}, ${s.leaf.at(s.made)}` : ''
    return `c${commit} upon c${s.base.at(commit - 1)}${pages}`
  }

  function handleShown(s: S, handle: number): string {
    const cut = s.cut.at(handle) === 0 ? '' : `c${s.cut.at(handle) - 1}`
    const phase = s.handle.at(handle)
    const what =
      phase === SHOWN ? `c${s.next.at(handle)}` : phase > 0 && phase < SHOWN ? s.taken.at(handle) : ''
    return [cut, HANDLE[phase], what].filter((each) => each !== '').join(' ')
  }

  function properties(): Properties<OpenersFields> {
    const isRead = (s: S, handle: number): boolean =>
      (s.cut.at(handle) === 0 || isWhole(s, s.cut.at(handle) - 1)) &&
      (s.handle.at(handle) !== SHOWN || isWhole(s, s.next.at(handle)))
    return {
      always: {
        'no commit is lost': (s) =>
          s.made === 0 || (newestOf(s) === s.made && s.base.at(s.made - 1) === s.made - 1),
        'what a header names is whole': (s) => isWhole(s, s.headers.at(0)) && isWhole(s, s.headers.at(1)),
        'what somebody reads is whole': (s) => handles.every((handle) => isRead(s, handle)),
        "the writer's handle shows what was acknowledged": (s) => s.cut.at(0) - 1 >= s.told,
        'no handle goes back': (s) => s.wentBack === 0,
      },
      sometimes: {
        'who opens sets back where transactions begin': (s) =>
          s.begins < numberOf(s, newestOf(s)) && s.writer === IDLE,
        'a transaction begins at an older commit': (s) => s.writer === MENDING,
        "the writer's handle is shown less than was committed": (s) => s.handle.at(0) === WAITING,
        'a reader is shown an older commit than it has': (s) =>
          handles.some(
            (handle) =>
              handle > 0 &&
              s.handle.at(handle) === SHOWN &&
              s.cut.at(handle) > 0 &&
              countOf(s, s.next.at(handle)) < countOf(s, s.cut.at(handle) - 1),
          ),
        'a page is used again': (s) =>
          s.writer === WRITTEN && s.root.at(s.made) < endOf(s, s.base.at(s.made)),
      },
      terminal: {
        'at rest transactions begin at the newest commit': (s) => s.begins === numberOf(s, newestOf(s)),
        'at rest every commit is acknowledged': (s) => s.told === options.commits,
      },
    }
  }
}
