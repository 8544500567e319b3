import { setTimeout as wait } from 'node:timers/promises'
import {
  watchApplied,
  type ApplyPhase,
  type KvError,
  type SnapshotError,
  type WatchAppliedOptions,
  type WatchCursor,
} from '@slip/kv-core'
import { expect } from 'vitest'
import { ScriptedWatcher, type Step } from './scripted-watcher.ts'

/** One run of the loop, with what it did. */
export class WatchRun {
  readonly watcher: ScriptedWatcher
  readonly applied: string[][] = []
  readonly positions: (bigint | undefined)[] = []
  readonly phases: ApplyPhase[] = []
  readonly stop = new AbortController()
  readonly result: Promise<WatchCursor>

  constructor(script: readonly Step[], options: Partial<WatchAppliedOptions> = {}) {
    this.watcher = new ScriptedWatcher(...script)
    this.result = watchApplied({
      watcher: this.watcher,
      signal: this.stop.signal,
      apply: (batch, context) => {
        this.applied.push(batch.map(({ key }) => key))
        this.phases.push(context.phase)
      },
      onApplied: (cursor) => void this.positions.push(cursor.revision),
      ...options,
    })
    this.result.catch(() => undefined)
  }

  async abort(): Promise<WatchCursor> {
    this.stop.abort()
    return this.result
  }

  async until(reached: () => boolean): Promise<void> {
    for (let i = 0; i < 1_000 && !reached(); i++) await wait(5)
    expect(reached()).toBe(true)
  }

  async failure(): Promise<KvError | SnapshotError> {
    try {
      await this.result
    } catch (error) {
      return error as KvError
    }
    throw new Error('the watch ended without an error')
  }
}
