import type { RebuildReason } from '@slip/kv-core'
import { Layout, type State } from '../explorer/layout.ts'
import { Messages } from './message.ts'

/** What can happen to a bucket beside writes; H-numbers are those of the docs. */
export type Fault =
  /** H1: the whole stream is purged. */
  | 'purge'
  /** H2: one subject is purged. */
  | 'purgeSubject'
  /** H3: one message is deleted. */
  | 'deleteMessage'
  /** H4: the oldest value expires. */
  | 'expireAge'
  /** H5: one value expires by its own time to live, without a marker. */
  | 'expireKey'
  /** H6: a write evicts the oldest message. */
  | 'discardOld'
  /** H7: a limit is lowered, and the oldest message goes. */
  | 'shrinkLimit'
  /** H8: the marker of a delete is cleaned up. */
  | 'cleanMarker'
  /** H9: the bucket is deleted and made again. */
  | 'recreate'
  /** H10, or H11 when the cursor is above what is left: an older state of the server comes back. */
  | 'rollback'

export interface AttachOptions {
  readonly name: string
  readonly keys: number
  /** The first so many keys are followed; all unless given. */
  readonly scoped?: number
  /** Writes in one history. */
  readonly revisions: number
  readonly faults: readonly Fault[]
  /** Breaks of history that can happen, plus one. */
  readonly eras?: number
  /**
   * What the bucket says about itself: `begins`, that it does not, and from some time on that it does; `ends`,
   * that it does, and once the follower has seen it that it does not any more; `endsUnseen`, at any time. What
   * is evicted is always the oldest. @default false
   */
  readonly evicts?: boolean | 'unknown' | 'begins' | 'ends' | 'endsUnseen'
  /** @default 'drop' */
  readonly whenEvicted?: 'drop' | 'keep'
  /** A watch that starts above the last revision begins after it, as servers before 2.11 do. */
  readonly clamps?: boolean
  /** Consumers outlive a rollback. */
  readonly survives?: boolean
  /** The bucket can change between its description and the watch. */
  readonly gap?: boolean
  /** A watch of a bucket that was recreated since it was described fails. @default true */
  readonly opensChecked?: boolean
  /** A server that is put back in that gap is reached again without a word. @default false */
  readonly reconnects?: boolean
  /** Whether the history is proven again when the watch has begun. @default true */
  readonly provesAgain?: boolean
  /**
   * Whether another content under the same key and revision counts as equal: where the fold remembers nothing
   * of a history that is left, it cannot be told. @default false
   */
  readonly byRevision?: boolean
  /** How many keys a fold remembers the newest revision of. @default 2 */
  readonly anchors?: number
  /** Whether an audit claims what it finds before anything says that it was found in the history of the fold. @default 'proven' */
  readonly claims?: 'atOnce' | 'proven'
  /** Whether the follower process can stop, and a session end. @default true */
  readonly restarts?: boolean
  /** Whether a replica of record asks about a gap before it commits what came after it. @default true */
  readonly guarded?: boolean
  /** Whether it asks again before a rebuild that is complete replaces the fold. @default true */
  readonly asksAgain?: boolean
  /** Whether another node publishes what the bucket holds, once, and a fold that is behind may take it. @default false */
  readonly artifacts?: boolean
  /** Whether nothing that happens here calls for a rebuild. */
  readonly calm?: boolean
  /** Which states at rest are judged; all unless given. */
  readonly judged?: (state: AttachState) => boolean
}

export const DOWN = 0
export const IDLE = 1
export const ATTACHED = 2
export const WATCHING = 3
export const FAILED = 4

export const NO_FINDING = 0
export const COUNT_MISMATCH = 1
export const BROKEN_LINEAGE = 2
export const RECREATED = 3
export const REVISION_MISMATCH = 4
export const CURSOR_EXPIRED = 5
/** By the numbers above. */
export const REASONS: readonly (RebuildReason | undefined)[] = [
  undefined,
  'countMismatch',
  'brokenLineage',
  'bucketRecreated',
  'revisionMismatch',
  'cursorExpired',
]

export type AttachFields = {
  readonly last: number
  readonly bucket: readonly [number, number]
  readonly era: number
  readonly incarnation: number
  readonly backup: readonly [number, number]
  /** Of the backup; after the break the last revision both histories share. */
  readonly backupLast: number
  readonly mode: number
  readonly fold: readonly [number, number]
  readonly cursor: number
  readonly bound: number
  readonly staged: readonly [number, number]
  readonly stagedCursor: number
  readonly rebuilding: number
  readonly forCount: number
  readonly bind: number
  readonly finding: number
  readonly suspect: number
  readonly sent: number
  readonly target: number
  readonly caught: number
  readonly dead: number
  readonly distrusted: number
  /** Listings for a wrong count in a row, and the two counts after the last of them. */
  readonly listings: number
  readonly listedBucket: number
  readonly listedFold: number
  /** What is kept with the fold: that it is no state the bucket was in. */
  readonly unsettled: number
  readonly stagedUnsettled: number
  /** A listing has to equal the fold before anything is claimed. */
  readonly unsure: number
  readonly lied: number
  /** Whether the bucket evicts, where that changes. */
  readonly evicting: number
  /** What was written last to each key, and is owed to a replica of record although the bucket evicts it. */
  readonly record: readonly [number, number]
  /** It once had everything there was, and a position: from here on nothing may be missing. */
  readonly owed: number
  /** The fold remembers that its bucket evicted; and the session that goes on from it. */
  readonly seen: number
  readonly bindSeen: number
  /** A session that hydrates from nothing. */
  readonly initial: number
  /** What another node published: its fold, where that stands, what it belongs to, and whether it saw evictions. */
  readonly artifact: readonly [number, number]
  readonly artifactCursor: number
  readonly artifactBound: number
  readonly artifactSeen: number
}

export type AttachState = State<AttachFields>

/** The sizes and the layout that follow from the options. */
export class AttachShape {
  readonly options: AttachOptions
  readonly messages: Messages
  readonly eras: number
  readonly scoped: number
  readonly layout: Layout<AttachFields>
  readonly noBackup: number
  readonly tracksSettled: boolean
  /** Whether the fold is a replica of record of a bucket that evicts. */
  readonly keepsRecord: boolean

  constructor(options: AttachOptions) {
    const { keys, revisions, eras = 1 } = options
    this.options = options
    this.eras = eras
    this.scoped = options.scoped ?? keys
    const counted = this.scoped + 2
    this.messages = new Messages(revisions, eras)
    this.noBackup = revisions + 1
    const { values } = this.messages
    const rollsBack = options.faults.includes('rollback')
    this.tracksSettled = rollsBack
    const { evicts = false, artifacts: published = false } = options
    this.keepsRecord = options.whenEvicted === 'keep' && evicts !== false && evicts !== 'unknown'
    const recorded = this.keepsRecord ? 2 : 1
    const positions = revisions + 1
    this.layout = new Layout<AttachFields>({
      last: positions,
      bucket: [keys, values],
      era: eras,
      incarnation: eras,
      backup: [rollsBack ? keys : 0, values],
      backupLast: revisions + 2,
      mode: 5,
      fold: [this.scoped, values],
      cursor: positions,
      bound: eras + 1,
      staged: [this.scoped, values],
      stagedCursor: positions,
      rebuilding: 2,
      forCount: 2,
      bind: eras + 1,
      finding: 6,
      suspect: 2,
      sent: positions,
      target: positions,
      caught: 2,
      dead: 2,
      distrusted: 2,
      listings: 3,
      listedBucket: counted,
      listedFold: counted,
      unsettled: this.tracksSettled ? 2 : 1,
      stagedUnsettled: this.tracksSettled ? 2 : 1,
      unsure: 2,
      lied: 2,
      evicting: typeof evicts === 'string' ? 2 : 1,
      record: [this.keepsRecord ? this.scoped : 0, values],
      owed: recorded,
      seen: recorded,
      bindSeen: recorded,
      initial: recorded,
      artifact: [published ? this.scoped : 0, values],
      artifactCursor: published ? positions : 1,
      artifactBound: published ? eras + 1 : 1,
      artifactSeen: published ? recorded : 1,
    })
  }

  /** What the bucket says of itself; undefined when it does not. */
  evicts(s: AttachState): boolean | undefined {
    const { evicts = false } = this.options
    if (typeof evicts === 'boolean') return evicts
    return evicts === 'unknown' ? undefined : s.evicting === 1
  }

  /** Whether a key is owed to a replica of record. */
  records(k: number): boolean {
    return this.keepsRecord && k < this.scoped
  }

  /** Whether the fold has what was written and not deleted up to its cursor, also what the bucket evicted. */
  holdsRecord(s: AttachState): boolean {
    if (s.owed === 0) return true
    for (let k = 0; k < this.scoped; k++) {
      const code = s.record.at(k)
      if (code === 0 || this.messages.revision(code) > s.cursor) continue
      if (this.messages.isLive(code) ? s.fold.at(k) !== code : this.messages.isLive(s.fold.at(k)))
        return false
    }
    return true
  }

  /** Of the oldest message; one above the last revision when there is none. */
  first(s: AttachState): number {
    let first = s.last + 1
    for (let k = 0; k < this.options.keys; k++) {
      const code = s.bucket.at(k)
      if (code !== 0) first = Math.min(first, this.messages.revision(code))
    }
    return first
  }

  /** Whether the fold has exactly the live entries of the bucket. */
  converged(s: AttachState): boolean {
    for (let k = 0; k < this.scoped; k++) {
      const inBucket = s.bucket.at(k)
      const inFold = s.fold.at(k)
      const live = this.messages.isLive(inFold)
      if (this.messages.isLive(inBucket) !== live || (live && !this.isSame(inBucket, inFold))) return false
    }
    return true
  }

  isSame(inBucket: number, inFold: number): boolean {
    if (this.options.byRevision !== true) return inBucket === inFold
    return this.messages.revision(inBucket) === this.messages.revision(inFold)
  }

  /** The next message in scope above what was sent; 0 when there is none. */
  nextAfter(s: AttachState, sent: number): number {
    let next = 0
    for (let k = 0; k < this.scoped; k++) {
      const revision = this.messages.revision(s.bucket.at(k))
      if (revision > sent && (next === 0 || revision < next)) next = revision
    }
    return next
  }
}
