import { appendLog } from '@slip/store-applog'

/** Generation 2 where the path says so: a child process is told nothing but the path. */
export default (path) => appendLog({ path, format: path.endsWith('.generation-2') ? 2 : 3 })
