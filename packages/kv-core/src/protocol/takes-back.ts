export interface TakesBackInput {
  /** Whether the fold in use holds the key; undefined where it cannot be read any more. */
  readonly held: boolean | undefined
  /** Whether what follows lists the whole bucket again before it counts as complete. */
  readonly relists: boolean
}

/**
 * Whether `apply` is told that a key is gone which it was given by a rebuild that is given up. The next rebuild
 * gives what it lists, and takes back what the fold in use holds and the bucket does not: of a key in neither
 * nobody would speak again. A key too many is given again by that listing; without one it would stay away.
 */
export function takesBack({ held, relists }: TakesBackInput): boolean {
  return relists && held !== true
}
