import { Layout, type Model, type State } from '@slip/model'

const THINKS = 0
const HOLDS_LEFT = 1
const EATS = 2

type Table = { who: readonly [number, number] }

/** Each takes the left fork, then the right one, and puts both back; so all can wait for each other. */
export function philosophers(count: number): Model<Table> {
  const layout = new Layout<Table>({ who: [count, 3] })
  const next = (who: number): number => (who + 1) % count
  return {
    name: `${count} philosophers`,
    layout,
    actions: Array.from({ length: count }, (_, who) => [
      {
        name: `${who} takes left`,
        step: ({ who: all }: State<Table>) => {
          if (all.at(who) !== THINKS || all.at((who + count - 1) % count) === EATS) return false
          all.set(who, HOLDS_LEFT)
          return true
        },
      },
      {
        name: `${who} takes right`,
        step: ({ who: all }: State<Table>) => {
          if (all.at(who) !== HOLDS_LEFT || all.at(next(who)) !== THINKS) return false
          all.set(who, EATS)
          return true
        },
      },
      {
        name: `${who} puts both back`,
        step: ({ who: all }: State<Table>) => {
          if (all.at(who) !== EATS) return false
          all.set(who, THINKS)
          return true
        },
      },
    ]).flat(),
    always: {
      'neighbours do not eat together': ({ who }) =>
        Array.from({ length: count }, (_, i) => i).every(
          (i) => who.at(i) !== EATS || who.at(next(i)) !== EATS,
        ),
    },
    sometimes: { 'somebody eats': ({ who }) => who.at(0) === EATS },
    terminal: { 'nobody waits': ({ who }) => who.at(0) !== HOLDS_LEFT },
    columns: { who: ({ who }) => Array.from({ length: count }, (_, i) => 'TLE'[who.at(i)]!).join('') },
  }
}

/** Lucas numbers of Pell: the tables on which no fork is held twice. */
export function tables(count: number): number {
  return Math.round((1 + Math.SQRT2) ** count + (1 - Math.SQRT2) ** count)
}
