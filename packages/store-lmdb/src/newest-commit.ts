import { protocol, SnapshotError } from '@slip/kv-core'
import type { Environment } from './environment.ts'
import { ABORT } from './lmdb-js.js'

/** Somebody else would have to open the file just then each time. */
export const ATTEMPTS = 100

/**
 * Runs `work` in a transaction that begins at the newest commit, and commits it: somebody who opens the file in another
 * process may have set that back. The lock of the writers is held while it is looked at, so that nothing changes any
 * more. SnapshotError `Backend` where it cannot be had.
 */
export function commit<T>({ root, lockFile, file }: Environment, work: () => T): T {
  for (let attempt = 1; ; attempt++) {
    let done: { readonly result: T } | undefined
    root.transactionSync(() => {
      const { lastTxnId } = root.env.info()
      if (protocol.beginsAtNewest({ transaction: root.getWriteTxnId(), newest: lastTxnId })) {
        done = { result: work() }
        return undefined
      }
      if (lockFile !== undefined) lockFile.newest = lastTxnId
      return ABORT
    })
    if (done !== undefined) return done.result
    if (lockFile === undefined || attempt === ATTEMPTS)
      throw new SnapshotError('Backend', `${file} does not let a transaction begin at its newest commit`, {
        path: file,
      })
  }
}

/** Whether the next transaction would begin at an older commit than the newest. False where nobody can tell. */
export function isSetBack({ root, lockFile }: Environment): boolean {
  // In this order: a commit between the two is no reason.
  const newest = root.env.info().lastTxnId
  return lockFile !== undefined && lockFile.newest < newest
}
