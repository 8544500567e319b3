export interface LayersAfterInput {
  /** Digests of payloads: that of the base, then what each layer makes of the one before. */
  readonly states: readonly string[]
  /** Of a payload that is here; undefined when there is none. */
  readonly own: string | undefined
  /** Of the payload that is to be made. */
  readonly wanted: string
}

/** What is begun with, and how many layers are passed over. */
export interface LayersAfter {
  readonly begin: 'base' | 'own'
  readonly skip: number
}

/**
 * Which layers make the payload that is wanted, and of what. A payload that is here may take the base's place only
 * when it is, by its digest, one of those that the layers are laid upon. undefined when the layers make
 * another payload than the one that is wanted.
 */
export function layersAfter({ states, own, wanted }: LayersAfterInput): LayersAfter | undefined {
  if (states.at(-1) !== wanted) return undefined
  // No digest is empty.
  const skip = states.lastIndexOf(own ?? '')
  return skip < 0 ? { begin: 'base', skip: 0 } : { begin: 'own', skip }
}
