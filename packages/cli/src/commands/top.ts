import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from '../command/command.ts'
import { durationMs, LONGEST_TIMER } from '../command/units.ts'
import { onStopSignal } from '../follow/stop-signals.ts'
import { EXIT } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'
import { rowOf, tableText, type Row } from '../top/followers-table.ts'
import { metricsUrl, scrape, type Scrape } from '../top/scrape.ts'

const DEFAULT_URL = '127.0.0.1:9464'
const DEFAULT_EVERY = '1s'
const EVERY = { least: '100ms', most: LONGEST_TIMER }
/** To the first cell, and what is below it cleared. */
const REDRAW = '\u001B[H\u001B[J'

export const top: Command = {
  name: 'top',
  words: ['[URL…]'],
  summary: 'Shows followers that run with --metrics, live.',
  details:
    'A table that is redrawn; where stdout is no terminal one after the other. JSON: a line for each follower at each look, {time, url, state, bucket?, revision?, lag?, entries?, applied?, deliveredBytes?, sessions?, verified?, residentBytes?, updatesPerSecond?, bytesPerSecond?, contactSeconds?, error?}; state is that of the follower, or unreachable. Ctrl-C ends it.',
  options: {
    metrics: {
      value: 'URL',
      multiple: true,
      help: `where a follower serves its metrics: HOST:PORT or a URL; default ${DEFAULT_URL}`,
    },
    every: { value: 'DURATION', help: `between two looks; default ${DEFAULT_EVERY}` },
    once: { help: 'one look' },
  },
  exits: ['1  with --once: a follower is not live, or cannot be reached'],
  example: 'slip top --metrics 127.0.0.1:9464 --metrics 10.0.0.7:9464',
  async run({ words, options, output }) {
    const given = [...words, ...options.list('metrics')]
    const urls = (given.length === 0 ? [DEFAULT_URL] : given).map(metricsUrl)
    const everyMs = durationMs(options.text('every') ?? DEFAULT_EVERY, 'every', EVERY)
    const once = options.on('once')
    const stop = new AbortController()
    const stopListening = onStopSignal(() => stop.abort())
    const signal = AbortSignal.any([stop.signal, output.gone])
    let before: readonly Scrape[] = []
    try {
      for (;;) {
        const now = await Promise.all(urls.map((url) => scrape(url, signal)))
        if (signal.aborted) return EXIT.done
        await show(
          now.map((each, i) => rowOf(each, before[i])),
          output,
        )
        if (once) return now.every(({ state }) => state === 'live') ? EXIT.done : EXIT.no
        before = now
        await sleep(everyMs, undefined, { signal }).catch(() => undefined)
      }
    } finally {
      stopListening()
    }
  },
}

async function show(rows: readonly Row[], output: Output): Promise<void> {
  const time = new Date().toISOString()
  if (output.json) {
    for (const row of rows) await output.answer({ time, ...row }, '')
    return
  }
  const { isTTY, columns } = process.stdout
  await output.answer({}, isTTY ? `${REDRAW}${time}\n${tableText(rows, columns)}` : tableText(rows))
}
