// Loaded before anything else (`node --import`): this process's time of day is off by SLIP_SKEW_MS. What only goes
// forward, timers and `performance.now`, is as it is.
const skewMs = Number(process.env['SLIP_SKEW_MS'])
const now = Date.now
const Real = Date

class SkewedDate extends Real {
  constructor(...given: readonly [] | [value: number | string | Date]) {
    if (given.length === 0) super(now() + skewMs)
    else super(...given)
  }

  static override now(): number {
    return now() + skewMs
  }
}

globalThis.Date = SkewedDate as DateConstructor
