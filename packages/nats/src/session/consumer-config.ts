/** The heartbeat asked of the server, in milliseconds. */
export const HEARTBEAT_MS = 500
const NANOSECONDS_PER_MS = 1_000_000
const INACTIVE_THRESHOLD_MS = 30_000

/** Where a consumer begins: each subject's last message, or every message from a sequence on. */
export type DeliverFrom = 'lastPerSubject' | { readonly fromSequence: number }

export interface ConsumerPlan {
  readonly stream: string
  readonly name: string
  readonly subjects: readonly string[]
  readonly deliverFrom: DeliverFrom
}

/** One request to the JetStream API, its subject without the API prefix. */
export interface ApiRequest {
  readonly subject: string
  readonly body: object
}

/**
 * The watch consumer: push, unacknowledged, in memory, gone 30 s after its reader. It lives as long
 * as the session that made it and is never shared.
 */
export function watchConsumer(plan: ConsumerPlan, deliverSubject: string): ApiRequest {
  return createRequest(plan, {
    deliver_subject: deliverSubject,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_MS * NANOSECONDS_PER_MS,
  })
}

/** A consumer that sends what it is asked for; its `num_pending` counts what it would send. */
export function pullConsumer(plan: ConsumerPlan, headersOnly: boolean): ApiRequest {
  return createRequest(plan, headersOnly ? { headers_only: true } : {})
}

/**
 * A single filter is part of the request's subject, so that a permission can allow exactly that
 * prefix; the server refuses a body that says otherwise. Several can only be in the body.
 */
function createRequest(plan: ConsumerPlan, delivery: object): ApiRequest {
  const only = plan.subjects.length === 1 ? plan.subjects[0] : undefined
  const start =
    plan.deliverFrom === 'lastPerSubject'
      ? { deliver_policy: 'last_per_subject' }
      : { deliver_policy: 'by_start_sequence', opt_start_seq: plan.deliverFrom.fromSequence }
  return {
    subject: `CONSUMER.CREATE.${plan.stream}.${plan.name}${only === undefined ? '' : `.${only}`}`,
    body: {
      stream_name: plan.stream,
      action: 'create',
      config: {
        name: plan.name,
        ...start,
        ...(only === undefined ? { filter_subjects: plan.subjects } : { filter_subject: only }),
        ...delivery,
        ack_policy: 'none',
        max_deliver: 1,
        replay_policy: 'instant',
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE_THRESHOLD_MS * NANOSECONDS_PER_MS,
      },
    },
  }
}
