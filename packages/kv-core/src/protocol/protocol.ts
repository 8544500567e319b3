import { admitArtifact } from './admit-artifact.ts'
import { afterFlush } from './after-flush.ts'
import { afterReopen } from './after-reopen.ts'
import { attach } from './attach.ts'
import { audit } from './audit.ts'
import { auditListing } from './audit-listing.ts'
import { beginsAtNewest } from './begins-at-newest.ts'
import { fastForwardTo } from './fast-forward-to.ts'
import { handOver } from './hand-over.ts'
import { inheritsParts } from './inherits-parts.ts'
import { isPublished } from './is-published.ts'
import { judgeHistory } from './judge-history.ts'
import { judgeListed } from './judge-listed.ts'
import { layersAfter } from './layers-after.ts'
import { lease } from './lease.ts'
import { listAgain } from './list-again.ts'
import { listingIsTruth } from './listing-is-truth.ts'
import { mayFastForward } from './may-fast-forward.ts'
import { mayRestore } from './may-restore.ts'
import { onBookmark } from './on-bookmark.ts'
import { onDelivery } from './on-delivery.ts'
import { overrun } from './overrun.ts'
import { proofOfLife } from './proof-of-life.ts'
import { restoreKey } from './restore-key.ts'
import { prunable } from './prunable.ts'
import { prunablePart } from './prunable-part.ts'
import { publish } from './publish.ts'
import { replacedForMs } from './replaced-for.ts'
import { resumeStart } from './resume-start.ts'
import { sawEviction } from './saw-eviction.ts'
import { sealParts } from './seal-parts.ts'
import { settles } from './settles.ts'
import { takesBack } from './takes-back.ts'
import { watchdog } from './watchdog.ts'

/** Every decision with a safety argument, as pure total functions. */
export interface Protocol {
  readonly attach: typeof attach
  readonly judgeHistory: typeof judgeHistory
  readonly resumeStart: typeof resumeStart
  readonly onDelivery: typeof onDelivery
  readonly onBookmark: typeof onBookmark
  readonly settles: typeof settles
  readonly handOver: typeof handOver
  readonly takesBack: typeof takesBack
  readonly afterFlush: typeof afterFlush
  readonly afterReopen: typeof afterReopen
  readonly proofOfLife: typeof proofOfLife
  readonly watchdog: typeof watchdog
  readonly overrun: typeof overrun
  readonly sawEviction: typeof sawEviction
  readonly listingIsTruth: typeof listingIsTruth
  readonly audit: typeof audit
  readonly listAgain: typeof listAgain
  readonly judgeListed: typeof judgeListed
  readonly auditListing: typeof auditListing
  readonly admitArtifact: typeof admitArtifact
  readonly fastForwardTo: typeof fastForwardTo
  readonly mayFastForward: typeof mayFastForward
  readonly mayRestore: typeof mayRestore
  readonly restoreKey: typeof restoreKey
  readonly publish: typeof publish
  readonly prunable: typeof prunable
  readonly replacedForMs: typeof replacedForMs
  readonly lease: typeof lease
  readonly isPublished: typeof isPublished
  readonly layersAfter: typeof layersAfter
  readonly inheritsParts: typeof inheritsParts
  readonly prunablePart: typeof prunablePart
  readonly sealParts: typeof sealParts
  readonly beginsAtNewest: typeof beginsAtNewest
}

/** The one table that sources, the follow loop, models and tests share. */
export const protocol: Protocol = {
  attach,
  judgeHistory,
  resumeStart,
  onDelivery,
  onBookmark,
  settles,
  handOver,
  takesBack,
  afterFlush,
  afterReopen,
  proofOfLife,
  watchdog,
  overrun,
  sawEviction,
  listingIsTruth,
  audit,
  listAgain,
  judgeListed,
  auditListing,
  admitArtifact,
  fastForwardTo,
  mayFastForward,
  mayRestore,
  restoreKey,
  publish,
  prunable,
  replacedForMs,
  lease,
  isPublished,
  layersAfter,
  inheritsParts,
  prunablePart,
  sealParts,
  beginsAtNewest,
}
