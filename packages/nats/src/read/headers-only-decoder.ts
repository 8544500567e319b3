import { DeliveryDecoder, type Delivery } from '../session/delivery.ts'
import { readHeaders } from '../session/message-headers.ts'
import type { DeliveryPosition } from '../session/reply-subject.ts'

/** Decodes messages that came without their values: only `Nats-Msg-Size` tells an empty one. */
export class HeadersOnlyDecoder extends DeliveryDecoder {
  override decode(
    subject: Uint8Array,
    headers: Uint8Array | undefined,
    payload: Uint8Array,
    position: DeliveryPosition,
  ): Delivery {
    const delivery = super.decode(subject, headers, payload, position)
    if (typeof delivery === 'string' || delivery.operation !== 'put' || headers === undefined) return delivery
    if (readHeaders(headers).fields.get('nats-msg-size') !== '0') return delivery
    return { operation: 'delete', key: delivery.key, version: delivery.version, reason: 'tombstone' }
  }
}
