import { KvError } from '@slip/kv-core'

const KEY = /^[-/_=.a-zA-Z0-9]+$/
const BUCKET_NAME = /^[-_a-zA-Z0-9]+$/

/** The rule of NATS KV for a key; KvError `InvalidKey` when it is broken. */
export function checkKey(key: string): void {
  if (!KEY.test(key) || key.startsWith('.') || key.endsWith('.') || key.includes('..'))
    throw new KvError(
      'InvalidKey',
      `the key ${JSON.stringify(key)} cannot be used: letters, digits and - / _ = . only, no dot at either end, no two dots in a row`,
    )
}

/** The rule of NATS KV for the name of a bucket; `TypeError` when it is broken. */
export function checkBucketName(name: string): void {
  if (!BUCKET_NAME.test(name))
    throw new TypeError(
      `the bucket name ${JSON.stringify(name)} cannot be used: letters, digits, - and _ only`,
    )
}
