import type { ParsedOptions } from '../command/command.ts'
import type { Output } from '../output/output.ts'
import { slipVersion } from '../output/version.ts'
import { listenAddress, MetricsServer, type Watched } from './metrics-server.ts'

/** The server of --metrics, which says where it listens; undefined without. UsageError for an address that cannot be had. */
export async function servedMetrics(
  options: ParsedOptions,
  bucket: string,
  watched: Watched,
  output: Output,
): Promise<MetricsServer | undefined> {
  const text = options.text('metrics')
  if (text === undefined) return undefined
  const address = listenAddress(text)
  const labels = { bucket, fold: options.text('fold') ?? '', version: await slipVersion() }
  const server = await MetricsServer.listen(address, labels, watched)
  if (address.port === 0) output.warn(`metrics at ${server.url}`)
  return server
}
