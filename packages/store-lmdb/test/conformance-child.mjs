import { lmdb } from '@slip/store-lmdb'

// The kit gives only a path: its ending says how the fold is written.
const IN_BULK = { fromEntries: 0, batchUpdates: 1, runBytes: 2_000, calmMs: 40 }

export default (path) =>
  lmdb({
    path,
    durability: path.endsWith('.os') ? 'os' : 'batch',
    ...(path.includes('.bulk') ? { bulk: IN_BULK } : {}),
  })
