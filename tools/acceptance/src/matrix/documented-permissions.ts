import { readFile } from 'node:fs/promises'

/**
 * The subjects that the README of a package says an account needs, by what it is to do: of `@slip/nats` (`follow`, `read`,
 * …) for the bucket `routes`, of `@slip/export` for the object bucket `artifacts` and the bucket `leases`. A row
 * that begins with "and" or "as to" has only what it adds.
 */
export async function documentedPermissions(
  of: 'nats' | 'export' = 'nats',
): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await readFile(new URL(`../../../../packages/${of}/README.md`, import.meta.url), 'utf8')
  const section = text.split(/^## /m).find((each) => each.startsWith('Permissions\n')) ?? ''
  const rows = section.split('\n').filter((line) => /^\| *\w/.test(line) && line.includes('`'))
  return new Map(
    rows.map((row) => {
      const [, what = '', subjects = ''] = row.split('|')
      return [what.trim(), [...subjects.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)] as const
    }),
  )
}

/** A server configuration with an administrator and a follower who may do what is listed and nothing else. */
export function restrictedTo(
  publishes: readonly string[],
  password = 'first',
  inboxPrefix: string = FOLLOWER_INBOX,
): Readonly<Record<string, unknown>> {
  return {
    authorization: {
      users: [
        { user: 'admin', password: 'admin' },
        {
          user: 'follower',
          password,
          permissions: {
            publish: { allow: publishes },
            subscribe: { allow: [`${inboxPrefix}.>`] },
          },
        },
      ],
    },
  }
}

export const ADMIN: { readonly user: string; readonly pass: string } = { user: 'admin', pass: 'admin' }
export const FOLLOWER_INBOX: string = '_INBOX_f'

/** What a server wrote to its log about things that were not allowed. */
export function violationsIn(log: string): readonly string[] {
  return log.split('\n').filter((line) => /violation/i.test(line))
}
