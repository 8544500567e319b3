/**
 * A thread takes the options of its process, but for one that says how the program's own text is read,
 * and which it refuses. Options of V8 cannot be given to a thread, only taken over.
 */
export function threadOptions(): { readonly execArgv?: string[] } {
  return process.execArgv.some((option) => option.startsWith('--input-type')) ? { execArgv: [] } : {}
}
