/** One metric, as Prometheus reads it: a family with its samples. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  /** Above 2^53 as a bigint, so that no digit is lost here. */
  readonly value: number | bigint
}

/** What HTTP calls the text below. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }
const UNESCAPES: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' }
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** The text format 0.0.4 of Prometheus; a metric without samples is left out. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines: string[] = []
  for (const { name, help, type, samples } of metrics) {
    if (samples.length === 0) continue
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const { labels = {}, value } of samples) lines.push(`${name}${labelsText(labels)} ${String(value)}`)
  }
  return `${lines.join('\n')}\n`
}

/** Samples of such a text by name; what is no sample is passed over. */
export function readMetrics(text: string): ReadonlyMap<string, readonly Required<Sample>[]> {
  const found = new Map<string, Required<Sample>[]>()
  for (const line of text.split('\n')) {
    const [, name, labelled = '', value] = SAMPLE.exec(line) ?? []
    if (name === undefined) continue
    const labels: Record<string, string> = {}
    for (const [, label, escaped] of labelled.matchAll(LABEL))
      labels[label!] = escaped!.replaceAll(/\\[\\"n]/g, (pair) => UNESCAPES[pair]!)
    const samples = found.get(name) ?? []
    samples.push({ labels, value: Number(value) })
    found.set(name, samples)
  }
  return found
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll(/[\\"\n]/g, (one) => ESCAPES[one]!)}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
