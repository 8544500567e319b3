import { afterFlush } from './after-flush.ts'
import { attach } from './attach.ts'
import { audit } from './audit.ts'
import { onDelivery } from './on-delivery.ts'
import { resumeStart } from './resume-start.ts'
import { watchdog } from './watchdog.ts'

/** Every decision with a safety argument, as pure total functions. */
export interface Protocol {
  readonly attach: typeof attach
  readonly onDelivery: typeof onDelivery
  readonly resumeStart: typeof resumeStart
  readonly afterFlush: typeof afterFlush
  readonly watchdog: typeof watchdog
  readonly audit: typeof audit
}

/** The one table that sources, the follow loop, models and tests share. */
export const protocol: Protocol = { attach, onDelivery, resumeStart, afterFlush, watchdog, audit }
