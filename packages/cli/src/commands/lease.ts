import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { withBucket } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { EXIT } from '../output/exit-code.ts'
import { UsageError } from '../output/usage-error.ts'

export const lease: Command = {
  name: 'lease',
  words: ['BUCKET'],
  summary: 'Says who holds a round of exporting.',
  details:
    'The lease is the record under the key NAME of BUCKET. JSON: {held, holderId, acquiredAt, expiresAt, completedCursor?, completedAt?}; times are ISO 8601 in UTC.',
  options: { name: { value: 'NAME', help: 'required: the key of the lease' }, ...CONNECTION_OPTIONS },
  exits: ['1  it is free', '3  no such bucket, or the server cannot be reached'],
  example: 'slip lease leases --name routes',
  async run({ words: [bucket = ''], options, output }) {
    const name = options.text('name')
    if (name === undefined) throw new UsageError('--name is missing', 'lease')
    return await withBucket(options, bucket, async (store) => {
      const { ExportLease } = await import('@slip/export')
      const state = await ExportLease.current(store, name)
      if (state === undefined) {
        await output.answer({ held: false }, 'free')
        return EXIT.no
      }
      const { holderId, acquiredAtUnix, expiresAtUnix, completedCursor, completedAtUnix } = state
      const held = expiresAtUnix * 1_000 > Date.now()
      const expiresAt = timeOf(expiresAtUnix)
      await output.answer(
        {
          held,
          holderId,
          acquiredAt: timeOf(acquiredAtUnix),
          expiresAt,
          ...(completedCursor === undefined ? {} : { completedCursor: completedCursor.toHex() }),
          ...(completedAtUnix === undefined ? {} : { completedAt: timeOf(completedAtUnix) }),
        },
        held ? `held by ${holderId} until ${expiresAt}` : `free: ${holderId} had it until ${expiresAt}`,
      )
      return held ? EXIT.done : EXIT.no
    })
  },
}

/** As ISO 8601; a time no calendar has is given as the number it is. */
function timeOf(unix: number): string {
  const time = new Date(unix * 1_000)
  return Number.isNaN(time.getTime()) ? String(unix) : time.toISOString()
}
