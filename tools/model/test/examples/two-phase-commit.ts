import { Layout, type Action, type Model } from '@slip/model'

const WORKING = 0
const PREPARED = 1
const COMMITTED = 2
const ABORTED = 3
const UNDECIDED = 0

interface Shape extends Record<string, number | readonly [number, number]> {
  manager: readonly [number, number]
  coordinator: number
  heard: readonly [number, number]
  said: readonly [number, number]
  commit: number
  abort: number
}

/** Two-phase commit as Lamport and Gray specify it, messages kept for ever. */
export function twoPhaseCommit(managers: number): Model<Shape> {
  const layout = new Layout<Shape>({
    manager: [managers, 4],
    coordinator: 3,
    heard: [managers, 2],
    said: [managers, 2],
    commit: 2,
    abort: 2,
  })
  const all = Array.from({ length: managers }, (_, i) => i)
  const each = (name: string, step: (i: number) => Action<Shape>['step']): Action<Shape>[] =>
    all.map((i) => ({ name: `${name} ${i}`, step: step(i) }))
  return {
    name: `two-phase commit of ${managers}`,
    layout,
    actions: [
      {
        name: 'coordinator commits',
        step: (s) => {
          if (s.coordinator !== UNDECIDED || !all.every((i) => s.heard.at(i) === 1)) return false
          s.coordinator = 1
          s.commit = 1
          return true
        },
      },
      {
        name: 'coordinator aborts',
        step: (s) => {
          if (s.coordinator !== UNDECIDED) return false
          s.coordinator = 2
          s.abort = 1
          return true
        },
      },
      ...each('coordinator hears', (i) => (s) => {
        if (s.coordinator !== UNDECIDED || s.said.at(i) === 0) return false
        s.heard.set(i, 1)
        return true
      }),
      ...each('prepares', (i) => (s) => {
        if (s.manager.at(i) !== WORKING) return false
        s.manager.set(i, PREPARED)
        s.said.set(i, 1)
        return true
      }),
      ...each('chooses to abort', (i) => (s) => {
        if (s.manager.at(i) !== WORKING) return false
        s.manager.set(i, ABORTED)
        return true
      }),
      ...each('is told to commit', (i) => (s) => {
        if (s.commit === 0) return false
        s.manager.set(i, COMMITTED)
        return true
      }),
      ...each('is told to abort', (i) => (s) => {
        if (s.abort === 0) return false
        s.manager.set(i, ABORTED)
        return true
      }),
    ],
    always: {
      'all agree': (s) =>
        !(all.some((i) => s.manager.at(i) === COMMITTED) && all.some((i) => s.manager.at(i) === ABORTED)),
    },
    sometimes: {
      'a commit': (s) => all.every((i) => s.manager.at(i) === COMMITTED),
      'an abort': (s) => all.every((i) => s.manager.at(i) === ABORTED),
    },
    settles: true,
    columns: {
      managers: (s) => all.map((i) => 'WPCA'[s.manager.at(i)]!).join(''),
      coordinator: (s) => s.coordinator,
    },
  }
}
