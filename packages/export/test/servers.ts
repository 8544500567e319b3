import { SERVER_MATRIX, type ServerLine } from '@slip/nats-server'

/** What transports are tested on: one server, or all of them with `SLIP_SERVERS=all`. */
export const SERVER_LINES: readonly ServerLine[] =
  process.env['SLIP_SERVERS'] === 'all' ? SERVER_MATRIX : ['2.12']
