import { parentPort, workerData } from 'node:worker_threads'
import { SnapshotError } from '@slip/kv-core'
import { nativeError } from './environment.ts'
import { mergeLayers } from './layer-merge.ts'
import type { MergeNews, MergeStart } from './merge-protocol.ts'
import { toMessage } from './thread-protocol.ts'

const port = parentPort!
const { request, stop } = workerData as MergeStart

const tell = (news: MergeNews): void => port.postMessage(news)

try {
  await mergeLayers(request, {
    begun: () => tell({ what: 'begun' }),
    proceed: () => {
      if (Atomics.load(stop, 0) !== 0) throw new SnapshotError('Closed', 'the merge was stopped')
    },
  })
  tell({ what: 'merged' })
} catch (error) {
  tell({ what: 'failed', failure: toMessage(nativeError(error, 'merging into', request.target)) })
}
