import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONNECTION_OPTIONS, connectionConfig, namesServer } from '../bucket/connection-options.ts'
import type { Command } from '../command/command.ts'
import { openDemoBucket, type DemoBucket } from '../demo/demo-bucket.ts'
import { tellStory, type Teller } from '../demo/story.ts'
import { onStopSignal } from '../follow/stop-signals.ts'
import { EXIT } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'
import { Progress } from '../output/progress.ts'

export const demo: Command = {
  name: 'demo',
  words: [],
  summary: 'Tells the whole story in a few seconds, with nothing installed.',
  details:
    'Writes, a fold catching up in a process of its own, kill -9, a restart with only the difference, a prefix read, a comparison. With --server, --context or SLIP_SERVER a bucket of its own is made there and deleted afterwards; without one of them the bucket is embedded in this process. The fold is in a temporary directory. JSON: {step, …} lines, then {done, ok, seconds, delivered, expected, equal}.',
  options: CONNECTION_OPTIONS,
  exits: ['1  the fold did not end up equal to the bucket', '3  the server cannot be used'],
  example: 'slip demo',
  async run({ options, output }) {
    const from = performance.now()
    const stop = new AbortController()
    const stopListening = onStopSignal(() => stop.abort(new Stopped()))
    output.gone.addEventListener('abort', () => stop.abort(new Stopped()))
    const directory = await mkdtemp(join(tmpdir(), 'slip-demo-'))
    let bucket: DemoBucket | undefined
    const teller = new OutputTeller(output)
    try {
      bucket = await openDemoBucket(namesServer(options) ? await connectionConfig(options) : undefined)
      await teller.step('source', { kind: bucket.place.kind, bucket: bucket.name }, sourceText(bucket))
      const outcome = await tellStory(bucket, join(directory, 'routes.slip'), teller, stop.signal)
      const seconds = Math.round(performance.now() - from) / 1_000
      const ok = outcome.equal && outcome.delivered === outcome.expected
      await output.answer(
        { done: true, ok, seconds, ...outcome },
        ok ? `Done in ${seconds} s.` : `Done in ${seconds} s, and something is wrong: please report it.`,
      )
      return ok ? EXIT.done : EXIT.no
    } catch (error) {
      if (error instanceof Stopped) return EXIT.done
      throw error
    } finally {
      teller.end()
      stopListening()
      await bucket?.remove()
      await rm(directory, { recursive: true, force: true })
    }
  },
}

class Stopped extends Error {
  override readonly name: string = 'Stopped'
}

class OutputTeller implements Teller {
  readonly #output: Output
  #progress: Progress

  constructor(output: Output) {
    this.#output = output
    this.#progress = new Progress(output.quiet)
  }

  async step(step: string, facts: object, text: string): Promise<void> {
    this.#progress.clear()
    await this.#output.answer({ step, ...facts }, `${step.padEnd(10)}  ${text}`)
  }

  meanwhile(text: () => string): void {
    this.#progress.update(text)
  }

  end(): void {
    this.#progress.clear()
  }
}

function sourceText({ name, place }: DemoBucket): string {
  return place.kind === 'nats'
    ? `Bucket ${name} on the NATS server that was named; it is deleted at the end.`
    : `No server was named (--server), so bucket ${name} is embedded: it lives in this process. Its followers are processes of their own, with their folds on disk; they reach the bucket over a pipe.`
}
