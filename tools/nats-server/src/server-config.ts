export interface ServerConfigOptions {
  /** More server configuration, as text or as an object: accounts, TLS, limits, a cluster. */
  readonly config?: string | Readonly<Record<string, unknown>>
  /** @default true */
  readonly jetstream?: boolean
  /** The server's name; made from the port when absent. */
  readonly name?: string
}

/** The whole configuration of one server as the text of its file. */
export function serverConfig(options: ServerConfigOptions, port: number, storeDirectory: string): string {
  const { config = '', jetstream = true, name = `slip-${port}` } = options
  const lines = [
    `host: "127.0.0.1"`,
    `port: ${port}`,
    `server_name: ${JSON.stringify(name)}`,
    ...(jetstream ? [`jetstream { store_dir: ${JSON.stringify(storeDirectory)} }`] : []),
    ...(typeof config === 'string' ? [config] : Object.entries(config).map(asLine)),
  ]
  return lines.join('\n')
}

// The server reads JSON values as they are.
function asLine([key, value]: [string, unknown]): string {
  return `${key}: ${JSON.stringify(value)}`
}
