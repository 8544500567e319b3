import { lmdb } from '@slip/store-lmdb'

/** The mode where the path says so: a child process is told nothing but the path. */
export default (path) => lmdb({ path, durability: path.endsWith('.os') ? 'os' : 'batch' })
