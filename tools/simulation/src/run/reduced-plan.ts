import { HEALTHY_DISK } from '../disk/disk-faults.ts'
import type { Action, Round } from '../plan/action.ts'
import type { Plan } from '../plan/plan.ts'
import type { FaultGroup, Profile } from '../plan/profile.ts'
import { HEALTHY_WIRE } from '../wire/wire-faults.ts'

/** The same plan with some of its actions only, and without some groups of faults. */
export function reducedPlan(
  plan: Plan,
  {
    keep,
    without = [],
  }: { readonly keep?: readonly number[] | undefined; readonly without?: readonly FaultGroup[] | undefined },
): Plan {
  const kept = (actions: readonly Action[]): readonly Action[] =>
    keep === undefined ? actions : actions.filter(({ id }) => keep.includes(id))
  return {
    profile: calmer(plan.profile, without),
    rounds: plan.rounds.map((round) =>
      shortened({ ...round, actions: kept(round.actions), inCalm: kept(round.inCalm) }),
    ),
  }
}

/** Without its absence a long storm is only its end: hours of a follower that runs in quiet show nothing. */
function shortened(round: Round): Round {
  const { absence, actions, stormMs } = round
  if (absence === undefined || actions.some(({ id }) => id === absence.id)) return round
  return {
    ...round,
    stormMs: stormMs - absence.ms,
    absence: undefined,
    actions: actions.map((action) => ({ ...action, atMs: Math.max(0, action.atMs - absence.ms) })),
  }
}

function calmer(profile: Profile, without: readonly FaultGroup[]): Profile {
  return {
    ...profile,
    ...(without.includes('wire') ? { wire: HEALTHY_WIRE } : {}),
    ...(without.includes('disk') ? { disk: HEALTHY_DISK } : {}),
    ...(without.includes('apply') ? { apply: { fails: 0, slow: 0, slowMs: 0 } } : {}),
    ...(without.includes('pace') ? { pace: { ...profile.pace, stallChance: 0 } } : {}),
  }
}
