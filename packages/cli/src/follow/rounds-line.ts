import type { RoundReport, RoundsStatus } from '@slip/export'
import { explain } from '../output/exit-code.ts'
import { withoutSecrets } from '../output/secrets.ts'
import { revisionJson } from '../output/wire.ts'

/** The rounds of `slip follow --publish`, beside its status. */
export function roundsLine({ last, ...counts }: RoundsStatus): object {
  return { ...counts, last: last === undefined ? null : lastLine(last) }
}

function lastLine(report: RoundReport): object {
  const { outcome, atMs, tookMs } = report
  const time = { outcome, time: new Date(atMs).toISOString(), seconds: Math.round(tookMs) / 1_000 }
  if (outcome === 'held') return { ...time, holderId: report.holderId }
  if (outcome === 'failed') {
    const { code, message } = explain(report.error)
    return { ...time, error: { code, message: withoutSecrets(message) } }
  }
  const { cursor, payload } = report
  const where = { ...time, cursor: cursor.toHex(), revision: revisionJson(cursor.revision), payload }
  return report.outcome === 'unchanged' ? where : { ...where, bytes: report.bytes, sent: report.sentBytes }
}

/** The same for people. */
export function roundsText({ published, last }: RoundsStatus): string {
  if (last?.outcome === 'failed') return '  not published'
  return published === 0 ? '' : `  published ${published} times`
}
