import type { SnapshotError } from '@slip/kv-core'

/** Keeps the damage that was found in a fold, and tells those who asked. */
export class DamageWatch {
  readonly #listeners = new Set<(damage: SnapshotError) => void>()
  #found: SnapshotError | undefined

  get found(): SnapshotError | undefined {
    return this.#found
  }

  /** At once when there is damage already, once in any case. Returns how to stop listening. */
  listen(listener: (damage: SnapshotError) => void): () => void {
    if (this.#found !== undefined) listener(this.#found)
    else this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(damage: SnapshotError): void {
    this.#found ??= damage
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener(damage)
  }

  /** Another file took the place of the damaged one. */
  forget(): void {
    this.#found = undefined
  }

  throwIfFound(): void {
    if (this.#found !== undefined) throw this.#found
  }
}
