import type { KvReader, KvWatcher } from './source.ts'

/** What `follow` needs of a bucket; a KvStore with a watcher is one. */
export interface FollowSource {
  readonly name: string
  readonly watcher: KvWatcher
  readonly reader?: KvReader
  close?(): Promise<void>
}

/** Called with back-off until it gives a source; the follower closes what it got. */
export type SourceOpener = (options: { readonly signal: AbortSignal }) => Promise<FollowSource>
