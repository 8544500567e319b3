export interface SealPartsInput {
  /** The list of parts that is there for this artifact; undefined when there is none. One that cannot be read takes over. */
  readonly found: { readonly isSame: boolean; readonly takesOver: boolean } | undefined
  /** Whether the list that was made takes parts of other artifacts over. */
  readonly takesOver: boolean
  /** Whether the pointer names this artifact already. */
  readonly isTarget: boolean
}

/**
 * `put`: nothing is there. `keep`: what is there is as good. `replace`: by what was made, and names all that was listed.
 * `rebase`: a list that takes nothing over has to be made first.
 */
export type SealPartsVerdict = 'put' | 'keep' | 'replace' | 'rebase'

/**
 * What is done with a list of parts where one is there already: two nodes that export one state in one second have one
 * manifest, and so one place for their lists. A list that takes nothing over is good whatever the pointer named
 * when it is moved; one that takes parts over only for who saw the pointer that lists them. So that one
 * is never put in the place of another, whose publisher may be about to move the pointer.
 */
export function sealParts({ found, takesOver, isTarget }: SealPartsInput): SealPartsVerdict {
  if (found === undefined) return 'put'
  if (found.isSame || !found.takesOver || isTarget) return 'keep'
  return takesOver ? 'rebase' : 'replace'
}
