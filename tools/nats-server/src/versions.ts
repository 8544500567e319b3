/** A line of nats-server releases that tests run against. */
export type ServerLine = '2.10' | '2.12' | '2.15'

/** The exact release each line stands for. */
export const PINNED: Readonly<Record<ServerLine, string>> = {
  '2.10': '2.10.26',
  '2.12': '2.12.8',
  '2.15': '2.15.1',
}

/** Oldest first. */
export const SERVER_MATRIX: readonly ServerLine[] = ['2.10', '2.12', '2.15']

/** A line or an exact release, as the exact release. */
export function exactVersion(version: string): string {
  return (PINNED as Readonly<Record<string, string>>)[version] ?? version
}

/** Whether `found` is at least `wanted`, by major and minor. */
export function atLeast(found: string, wanted: string): boolean {
  const [major = 0, minor = 0] = found.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
