import {
  VersionToken,
  WatchCursor,
  type KvUpdate,
  type KvWatcher,
  type WatchBatch,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'

export const put = (key: string, revision: number, value: string = key): KvUpdate => ({
  operation: 'put',
  key,
  value: new TextEncoder().encode(value),
  version: VersionToken.fromRevision(BigInt(revision)),
})

export const remove = (key: string, revision: number): KvUpdate => ({
  operation: 'delete',
  key,
  version: VersionToken.fromRevision(BigInt(revision)),
})

export const at = (revision: number): WatchCursor => WatchCursor.fromRevision(BigInt(revision))

export type Step = KvUpdate[] | Partial<WatchBatch> | Error | 'end' | (() => Promise<void> | void)

/**
 * Yields the given steps and then stays open until the abort. An Error is thrown, `end` ends the
 * watch, a function is awaited.
 */
export class ScriptedWatcher implements KvWatcher {
  readonly #script: readonly Step[]
  readonly seen: { readonly scope: WatchScope; readonly options: WatchOptions }[] = []
  pulls = 0

  constructor(...script: readonly Step[]) {
    this.#script = script
  }

  async describe(): Promise<{ kind: string; name: string }> {
    return { kind: 'script', name: 'script' }
  }

  async *watch(scope: WatchScope, options: WatchOptions): AsyncIterable<WatchBatch> {
    this.seen.push({ scope, options })
    for (const step of this.#script) {
      this.pulls++
      if (step === 'end') return
      if (step instanceof Error) throw step
      if (typeof step === 'function') await step()
      else if (Array.isArray(step)) yield { updates: step, caughtUp: false }
      else yield { updates: [], caughtUp: false, ...step }
    }
    await new Promise((_resolve, reject) => {
      const onAbort = (): void => reject(options.signal.reason as Error)
      if (options.signal.aborted) onAbort()
      else options.signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
