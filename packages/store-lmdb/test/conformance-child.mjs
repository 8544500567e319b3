import { lmdb } from '@slip/store-lmdb'

const IN_BULK = { fromEntries: 0, batchUpdates: 1, runBytes: 2_000, calmMs: 40 }

/** `bulk` lays every batch above the others, makes runs all the time, and merges them in every pause. */
const HOW = {
  batch: { durability: 'batch' },
  os: { durability: 'os' },
  bulk: { durability: 'batch', bulk: IN_BULK },
  structure: { durability: 'os', check: 'structure' },
}

/** The kit gives only a path: its ending says how the fold is opened. */
export function optionsOf(path) {
  return { path, ...HOW[path.slice(path.lastIndexOf('.') + 1)] }
}

export default (path) => lmdb(optionsOf(path))
