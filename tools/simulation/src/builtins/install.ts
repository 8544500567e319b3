import { syncBuiltinESMExports } from 'node:module'
import { installClocks } from './clocks.ts'
import { installFiles } from './files.ts'
import { installLmdbLibrary } from './lmdb-library.ts'
import { installProcessIdentity } from './process-identity.ts'
import { installRandomness } from './randomness.ts'
import { installSockets } from './sockets.ts'
import { installThreads } from './threads.ts'
import { installTimers } from './timers.ts'

/*
 * To be imported before the product: Node's modules are changed in place, so that every import of them
 * from here on is ours. Outside a world they do what they always did.
 */
installTimers()
installClocks()
installRandomness()
installProcessIdentity()
installSockets()
installFiles()
installThreads()
installLmdbLibrary()
syncBuiltinESMExports()
