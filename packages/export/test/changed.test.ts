import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { scratch } from './scratch.ts'

const BYTES = Number(process.env['SLIP_CHANGED_BYTES'] ?? 64 * 1024 * 1024)
const VALUE_BYTES = 1024
/** Of the issue, for 1 GB: of what is published. */
const MOST_PERCENT = 5
/** Of the issue, for 2 GB: it does not grow with the fold. */
const MOST_MB = 200

test.runIf(process.platform === 'linux')(
  `1 % of a fold of ${BYTES} bytes changed: less than ${MOST_PERCENT} % are sent and fetched, in less than ${MOST_MB} MB`,
  { timeout: 3_600_000 },
  async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--expose-gc',
        join(import.meta.dirname, 'changed-child.mjs'),
        `${BYTES}`,
        `${VALUE_BYTES}`,
        await scratch(),
      ],
      { timeout: 3_600_000 },
    )
    console.log(stdout)
    const steps = stdout
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as {
            readonly what: string
            readonly putPercent: number
            readonly gotPercent: number
            readonly peakMb: number
          },
      )
    expect(steps).toHaveLength(11)
    for (const { what, putPercent, gotPercent, peakMb } of steps) {
      expect(peakMb, what).toBeLessThan(MOST_MB)
      if (what.includes('1 %')) expect(putPercent + gotPercent, what).toBeLessThan(MOST_PERCENT)
    }
    expect(steps.find(({ what }) => what === 'download by a newcomer')?.gotPercent).toBeLessThan(150)
  },
)
