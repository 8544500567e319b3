import { KvError, type Follower } from '@slip/kv-core'
import { applied, contentDifference, contentOf, type FoldContent } from './fold-content.ts'

/** Small enough to be overrun now and then. */
const BUFFER = 200

/** Folds what `changes()` gives on top of what the fold held: the two must agree once all is delivered. */
export class ChangesCheck {
  readonly #follower: Follower
  #model: FoldContent = new Map()
  /** Whether the subscription began before the fold could be read. */
  #blind = false

  constructor(follower: Follower) {
    this.#follower = follower
    void this.#read()
  }

  difference(fold: FoldContent): string | undefined {
    return this.#blind ? undefined : contentDifference(this.#model, fold, false)
  }

  async #read(): Promise<void> {
    for (;;) {
      try {
        const changes = this.#follower.changes({ buffer: BUFFER })
        try {
          this.#model = contentOf(this.#follower.store)
          this.#blind = false
        } catch {
          this.#blind = true
        }
        for await (const change of changes) this.#model = applied(this.#model, [change])
        return
      } catch (error) {
        if (!KvError.is(error) || error.code !== 'ChangesLagged') return
      }
    }
  }
}
