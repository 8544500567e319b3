/** One answer of `doctor`. */
export interface Finding {
  /** One word: what was looked at. */
  readonly check: string
  readonly level: 'ok' | 'warn' | 'fail'
  readonly message: string
  /** What to do about it; empty when nothing is to be done. */
  readonly fix: string
}

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message, fix: '' }
}

export function warning(check: string, message: string, fix: string): Finding {
  return { check, level: 'warn', message, fix }
}

export function failure(check: string, message: string, fix: string): Finding {
  return { check, level: 'fail', message, fix }
}
