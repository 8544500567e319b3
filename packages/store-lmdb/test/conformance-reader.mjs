import { LmdbReader } from '@slip/store-lmdb'

export default (path) => LmdbReader.open({ path })
