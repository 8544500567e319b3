import { protocol, type Protocol } from '@slip/kv-core'
import { configuration, type Configuration, type WrongConfiguration } from './configuration.ts'
import { openersModel } from './models/openers-model.ts'
import type { OpenersOptions } from './models/openers-state.ts'

const HEADERS_WHOLE = 'what a header names is whole'
const LOST = 'no commit is lost'
const READS_WHOLE = 'what somebody reads is whole'

const opening = ({
  name,
  ...options
}: Partial<OpenersOptions> & Pick<OpenersOptions, 'name'>): Configuration => {
  const title = `openers, ${name}`
  const all = { commits: 3, openers: 1, ...options, name: title }
  return configuration(['beginsAtNewest'], (rules) => openersModel(all, rules), title)
}

export const SMALL_OPENERS: readonly Configuration[] = [
  opening({ name: 'one that opens twice', commits: 4, opens: 2 }),
  opening({ name: 'slots looked at one by one', slowScan: true }),
]

export const MEDIUM_OPENERS: readonly Configuration[] = [
  opening({ name: 'two, one of which reads', openers: 2, readers: 1 }),
  opening({ name: 'slots looked at one by one, four commits', commits: 4, opens: 2, slowScan: true }),
]

export const LARGE_OPENERS: readonly Configuration[] = [
  opening({ name: 'two that open twice, one of which reads', openers: 2, readers: 1, opens: 2 }),
]

export const DEEP_OPENERS: readonly Configuration[] = [opening({ name: 'two that read, deep', openers: 2 })]

const unguarded: Protocol = { ...protocol, beginsAtNewest: () => true }

/** What the library does without the mend, as each that it harms sees it, and mends that are not enough. */
export const WRONG_OPENERS: readonly WrongConfiguration[] = [
  {
    configuration: opening({ name: 'commits are made wherever they begin' }),
    rules: unguarded,
    property: HEADERS_WHOLE,
  },
  {
    configuration: opening({
      name: 'commits are made wherever they begin, as a reader sees it',
      except: [HEADERS_WHOLE, LOST],
    }),
    rules: unguarded,
    property: READS_WHOLE,
  },
  {
    configuration: opening({
      name: 'commits are made wherever they begin, as the next commit sees it',
      except: [HEADERS_WHOLE],
    }),
    rules: unguarded,
    property: LOST,
  },
  {
    configuration: opening({ name: 'a commit is acknowledged whatever is shown', comparesOwn: false }),
    rules: protocol,
    property: "the writer's handle shows what was acknowledged",
  },
  {
    configuration: opening({ name: 'a reader goes wherever it is shown', keepsNewer: false, goesOn: true }),
    rules: protocol,
    property: 'no handle goes back',
  },
  {
    configuration: opening({ name: 'a writer that has nothing to write does not look', looks: false }),
    rules: protocol,
    property: 'at rest transactions begin at the newest commit',
  },
]
