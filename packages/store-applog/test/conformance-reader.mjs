import { AppendLogReader } from '@slip/store-applog'

/** Opened anew for each look: a reader of a log stays at the commit it was opened at. */
export default (path) => AppendLogReader.open({ path })
