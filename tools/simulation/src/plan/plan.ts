import type { Random } from '../world/random.ts'
import type { Action, Deed, Round } from './action.ts'
import { type Profile, profileOf, type StoreKind } from './profile.ts'

/** Everything a seed decides beforehand; what is left to chance is decided as the world goes. */
export interface Plan {
  readonly profile: Profile
  readonly rounds: readonly Round[]
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** `store`: what keeps the fold; the seed decides it unless given. */
export function planOf(random: Random, ofStore: Random, store?: StoreKind): Plan {
  const profile = profileOf(random, ofStore, store)
  const next = { id: 0 }
  const rounds = Array.from({ length: random.between(1, 3) }, () => roundOf(random, profile, next))
  return { profile, rounds }
}

function roundOf(random: Random, profile: Profile, next: { id: number }): Round {
  const long = random.chance(0.35)
  const stormMs = long ? HOUR * (0.5 + random.around(8)) : SECOND * random.between(2, 90)
  const busy = random.pick([3, 10, 30])
  const number = (deed: Deed, atMs: number): Action => ({ ...deed, id: next.id++, atMs })
  const actions: Action[] = []
  // A long storm is one in which the follower is away for most of the time: years of a quiet bucket show nothing.
  const lastMs = long ? random.between(2 * SECOND, MINUTE) : stormMs
  const absence = long ? { id: next.id, ms: stormMs - lastMs } : undefined
  if (absence !== undefined) actions.push(number(absenceOf(random, absence.ms), SECOND))
  for (let i = random.between(1, busy); i > 0; i--) {
    const isLate = !long || random.chance(0.5)
    const deed = isLate ? deedOf(random, profile, lastMs) : bucketDeed(random, profile)
    actions.push(number(deed, isLate ? stormMs - lastMs + random.below(lastMs) : random.below(stormMs)))
  }
  actions.sort((a, b) => a.atMs - b.atMs)
  const inCalm = random.chance(0.4) ? [number(silentDeed(random, profile), 0)] : []
  return { stormMs, absence, actions, inCalm }
}

function absenceOf(random: Random, forMs: number): Deed {
  return random.pick<Deed>([
    { type: 'kill', downMs: forMs },
    { type: 'close', downMs: forMs },
    { type: 'powerCut', downMs: forMs, flipBit: false },
    { type: 'freeze', forMs },
    { type: 'suspend', forMs },
  ])
}

function deedOf(random: Random, profile: Profile, stormMs: number): Deed {
  return random.chance(0.6) ? bucketDeed(random, profile) : followerDeed(random, stormMs)
}

function bucketDeed(random: Random, profile: Profile): Deed {
  const chance = random.fraction()
  if (chance < 0.76) return write(random, profile)
  if (chance < 0.88) return silentDeed(random, profile)
  if (chance < 0.92) return { type: 'recreate', silent: random.chance(0.5) }
  if (chance < 0.96) return { type: 'rollback', by: random.between(1, 12), regrow: random.below(20) }
  if (chance < 0.98) return { type: 'backup' }
  return { type: 'restore', regrow: random.below(20) }
}

function write(random: Random, profile: Profile): Deed {
  const key = random.pick(profile.keys)
  const chance = random.fraction()
  if (chance < 0.5) return put(random, profile, key)
  if (chance < 0.7) return { type: 'delete', key }
  if (chance < 0.78) return { type: 'purge', key }
  return { type: 'burst', count: random.between(2, 40), gapMs: random.pick([0, 1, 50, 1_000]) }
}

function put(random: Random, profile: Profile, key: string): Deed {
  const bytes = random.pick([0, 5, 20, 60, 60, 300, 2_000])
  const expires = random.chance(profile.bucket.markerTtlMs === undefined ? 0.03 : 0.5)
  return expires
    ? { type: 'put', key, bytes, ttlMs: random.pick([1_000, 5_000, 60_000]) }
    : { type: 'put', key, bytes }
}

function silentDeed(random: Random, profile: Profile): Deed {
  const key = random.pick(profile.keys)
  return random.pick<Deed>([
    { type: 'purgePrefix', prefix: random.pick(['', key.slice(0, 2), key]) },
    { type: 'removeNewest', key },
    { type: 'removeMarkers' },
    { type: 'evict', count: random.between(1, 5) },
    { type: 'tighten', limits: limitsOf(random) },
  ])
}

function limitsOf(random: Random): Extract<Deed, { type: 'tighten' }>['limits'] {
  return random.pick<Extract<Deed, { type: 'tighten' }>['limits']>([
    { history: 1 },
    { maxAgeMs: random.pick([1_000, 60_000]) },
    { maxBytes: random.pick([200, 1_000]), discard: 'old' },
  ])
}

function followerDeed(random: Random, stormMs: number): Deed {
  const soon = Math.min(stormMs, random.pick([10, 500, 3_000, 30_000]))
  return random.pick<Deed>([
    { type: 'kill', downMs: soon },
    { type: 'kill', downMs: soon },
    { type: 'close', downMs: soon },
    { type: 'powerCut', downMs: soon, flipBit: random.chance(0.15) },
    { type: 'powerCut', downMs: soon, flipBit: false },
    { type: 'freeze', forMs: soon },
    { type: 'suspend', forMs: soon },
    { type: 'clockJump', byMs: random.pick([-1, 1]) * random.pick([5 * SECOND, HOUR, 3_000 * HOUR]) },
    { type: 'cutWire', forMs: soon },
    { type: 'wireDown', forMs: soon },
    { type: 'fillDisk', freeBytes: random.below(2_000), forMs: soon },
    { type: 'exclusive', forMs: Math.min(soon, 10_000) },
    { type: 'secondOpener' },
    { type: 'waitForLast' },
    { type: 'compact' },
  ])
}
