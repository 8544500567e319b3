import { SnapshotError, type SnapshotLocation, type SnapshotStore } from '@slip/kv-core'
import type { ForeignAside } from '../fold/repaired.ts'
import { sizeOf } from '../fold/size-of.ts'
import { withHint } from '../output/exit-code.ts'

/**
 * A fold's place that tells where a fold went which is set aside. With `replaceForeign` what is
 * no fold is set aside too, instead of being refused.
 */
export class FoldPlace<S extends SnapshotStore> implements SnapshotLocation<S> {
  readonly backend: string
  readonly payload?: NonNullable<SnapshotLocation<S>['payload']>
  readonly receive?: NonNullable<SnapshotLocation<S>['receive']>
  readonly create?: NonNullable<SnapshotLocation<S>['create']>
  readonly beside?: NonNullable<SnapshotLocation<S>['beside']>
  readonly #place: SnapshotLocation<S>
  readonly #replaceForeign: boolean
  /** Called with the new path of a fold that was set aside after it had been opened. */
  onSetAside: ((movedTo: string) => void) | undefined
  foreign: ForeignAside | undefined

  constructor(place: SnapshotLocation<S>, options: { readonly replaceForeign: boolean }) {
    this.backend = place.backend
    this.#place = place
    if (place.payload !== undefined) this.payload = place.payload
    if (place.receive !== undefined) this.receive = place.receive.bind(place)
    if (place.create !== undefined) this.create = place.create.bind(place)
    if (place.beside !== undefined) this.beside = place.beside.bind(place)
    this.#replaceForeign = options.replaceForeign
  }

  async open(options?: Parameters<SnapshotLocation<S>['open']>[0]): Promise<S> {
    try {
      return await this.#place.open(options)
    } catch (error) {
      if (!isForeign(error)) throw error
      if (!this.#replaceForeign)
        throw withHint(
          error,
          'It was not touched: use another path, or --on-foreign rebuild to set it aside.',
        )
      const movedTo = await this.setAside()
      this.foreign = { verdict: 'foreign', at: 0, bytes: await sizeOf(movedTo), movedTo }
      return await this.#place.open(options)
    }
  }

  async exists(): Promise<boolean> {
    return await this.#place.exists()
  }

  async setAside(): Promise<string> {
    if (this.#place.setAside === undefined)
      throw new SnapshotError('Backend', `a fold of ${this.backend} cannot be set aside`)
    const movedTo = await this.#place.setAside()
    this.onSetAside?.(movedTo)
    return movedTo
  }
}

function isForeign(error: unknown): error is SnapshotError {
  return SnapshotError.is(error) && error.code === 'InvalidFormat' && (error.at ?? 0) === 0
}
