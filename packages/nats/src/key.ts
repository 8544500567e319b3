import { KvError } from '@slip/kv-core'

const KEY = /^[-/=.\w]+$/
const BUCKET_NAME = /^[-\w]+$/

/** The rule of NATS KV for a key; KvError `InvalidKey` when it is broken. */
export function checkKey(key: string): void {
  if (KEY.test(key) && !key.startsWith('.') && !key.endsWith('.') && !key.includes('..')) return
  throw new KvError(
    'InvalidKey',
    `${JSON.stringify(key)} is no key: letters, digits and - _ / = . only, without a dot at an end or two in a row`,
  )
}

/** The rule of NATS KV for a bucket's name; `TypeError` when it is broken. */
export function checkBucketName(name: string): void {
  if (!BUCKET_NAME.test(name))
    throw new TypeError(`${JSON.stringify(name)} is no bucket name: letters, digits, - and _ only`)
}
