/** The JetStream `err_code` an error or one of its causes carries; undefined without one. */
export function apiErrorCode(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { readonly code?: unknown }
    if (typeof code === 'number') return code
  }
  return undefined
}
