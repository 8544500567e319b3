import type { Command } from '../command/command.ts'
import { bucketCreate, bucketDelete, bucketInfo } from './bucket.ts'
import { compact } from './compact.ts'
import { convert } from './convert.ts'
import { demo } from './demo.ts'
import { diff } from './diff.ts'
import { doctor } from './doctor.ts'
import { exportFold } from './export.ts'
import { follow } from './follow.ts'
import { get } from './get.ts'
import { importFold } from './import.ts'
import { publish } from './publish.ts'
import { bootstrap } from './bootstrap.ts'
import { inspect } from './inspect.ts'
import { lease } from './lease.ts'
import { dump, ls } from './list.ts'
import { load } from './load.ts'
import { top } from './top.ts'
import { verify } from './verify.ts'
import { create, del, purge, put, update } from './write.ts'

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  follow,
  get,
  ls,
  dump,
  inspect,
  verify,
  diff,
  compact,
  convert,
  exportFold,
  importFold,
  publish,
  bootstrap,
  lease,
  bucketCreate,
  bucketInfo,
  bucketDelete,
  put,
  create,
  update,
  del,
  purge,
  load,
  doctor,
  top,
  demo,
]
