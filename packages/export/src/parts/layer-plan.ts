import { MOST_LAYERS } from './part-list.ts'

/** Sizes, in bytes. */
export interface LayerPlanInput {
  readonly base: number
  readonly layers: readonly number[]
  /** Of the payload that is to be published. */
  readonly payload: number
}

/**
 * How many of the layers stay below a new one; undefined when the payload is to be a base of its own. Who starts
 * with nothing fetches at most half as much again as the base, which itself is at most twice the payload. When
 * there are too many layers one that is laid upon the base takes the place of all of them.
 */
export function layersKept({ base, layers, payload }: LayerPlanInput): number | undefined {
  if (base > 2 * payload || !layersPay(base, layers)) return undefined
  return layers.length < MOST_LAYERS ? layers.length : 0
}

/** Whether layers are still small beside their base. */
export function layersPay(base: number, layers: readonly number[]): boolean {
  return 2 * layers.reduce((sum, size) => sum + size, 0) <= base
}
