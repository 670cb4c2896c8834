/**
 * One request for each way in which package `metadata` refuses a client of this server. The
 * answers are asked of the package, so that `docs/errors.md` cannot say anything else; a test
 * looks for rejections in its source that no case here provokes.
 */
import {
  applyOperation,
  checkDeleteStream,
  checkOperation,
  MetadataState,
  parseCreateStream,
  planCreateStream,
  selectPartitions,
  type Check,
  type Operation,
  type StreamDefaults,
  type WireCreateStream,
} from '@liftbridge/metadata'
import {
  SERVER_PARTITIONS_MAX,
  STREAM_PARTITIONS_MAX,
} from '../packages/server/src/config/limits.ts'

export interface RejectionCase {
  readonly call: string
  readonly meaning: string
  readonly provoke: () => Check | { readonly kind: 'ok' }
}

const LIMITS = {
  maxPartitionsPerStream: STREAM_PARTITIONS_MAX,
  maxPartitions: SERVER_PARTITIONS_MAX,
}

const DEFAULTS: StreamDefaults = {
  retentionMaxBytes: 0,
  retentionMaxMessages: 0,
  retentionMaxAgeMs: 0,
  cleanerIntervalMs: 0,
  segmentMaxBytes: 0,
  segmentMaxAgeMs: 0,
  compactMaxGoroutines: 0,
  compactEnabled: false,
  autoPauseTimeMs: 0,
  autoPauseDisableIfSubscribers: false,
  minIsr: 1,
  optimisticConcurrencyControl: false,
  encryption: false,
}

const request = (fields: Partial<WireCreateStream>): WireCreateStream => ({
  name: 'orders',
  subject: 'orders',
  group: '',
  replicationFactor: 0,
  partitions: 0,
  ...fields,
})

const parse = (fields: Partial<WireCreateStream>): ReturnType<typeof parseCreateStream> =>
  parseCreateStream(request(fields), { namespace: 'liftbridge-default', limits: LIMITS })

/** What the whole of CreateStream answers on a server of its own, before anything is written. */
function create(
  fields: Partial<WireCreateStream>,
  plan: { readonly state?: MetadataState; readonly maxPartitions?: number } = {},
): ReturnType<typeof planCreateStream> {
  const parsed = parse(fields)
  if (parsed.kind === 'rejected') return parsed
  return planCreateStream(plan.state ?? new MetadataState(), parsed.stream, {
    servers: [{ id: 'a', alive: true }],
    defaults: DEFAULTS,
    limits: { ...LIMITS, maxPartitions: plan.maxPartitions ?? LIMITS.maxPartitions },
    nowNs: 1n,
  })
}

/** The state of a server with one stream `orders` of one partition. */
function stateWithOrders(): { state: MetadataState; operation: Operation<'create-stream'> } {
  const state = new MetadataState()
  const planned = create({})
  if (planned.kind === 'rejected') throw new Error(planned.text)
  applyOperation(state, planned.operation, 1)
  return { state, operation: planned.operation }
}

export const rejectionCases: readonly RejectionCase[] = [
  {
    call: 'CreateStream',
    meaning: 'The request has no name.',
    provoke: () => parse({ name: '' }),
  },
  {
    call: 'CreateStream',
    meaning:
      'The subject is no NATS subject, is longer than 255 bytes with the suffix of a partition, or overlaps the subjects of the cluster, `$SYS` or `$JS`.',
    provoke: () => parse({ subject: 'a..b' }),
  },
  {
    call: 'CreateStream, DeleteStream',
    meaning: '`__cursors` and `__activity` belong to the servers.',
    provoke: () => checkDeleteStream('__cursors'),
  },
  {
    call: 'CreateStream',
    meaning:
      'A name is a literal NATS subject of at most 255 bytes. The text ends with what is wrong.',
    provoke: () => parse({ name: 'a b' }),
  },
  {
    call: 'CreateStream',
    meaning: 'A load-balance group is one word of at most 255 bytes.',
    provoke: () => parse({ group: 'a b' }),
  },
  {
    call: 'CreateStream',
    meaning: 'The number of partitions is negative.',
    provoke: () => parse({ partitions: -1 }),
  },
  {
    call: 'CreateStream',
    meaning: 'More partitions than one stream may have.',
    provoke: () => parse({ partitions: STREAM_PARTITIONS_MAX + 1 }),
  },
  {
    call: 'CreateStream',
    meaning: 'A setting of the stream is negative; the text names it.',
    provoke: () => parse({ cleanerInterval: { value: -1n } }),
  },
  {
    call: 'CreateStream',
    meaning: 'The replication factor is neither positive nor -1 (every server).',
    provoke: () => create({ replicationFactor: -2 }),
  },
  {
    call: 'CreateStream',
    meaning: 'There are fewer servers than replicas asked for.',
    provoke: () => create({ replicationFactor: 5 }),
  },
  {
    call: 'CreateStream',
    meaning: 'All streams together would have more partitions than the server takes.',
    provoke: () => create({ partitions: 2 }, { maxPartitions: 1 }),
  },
  {
    call: 'CreateStream',
    meaning: 'There is a stream of this name, whatever its subject.',
    provoke: () => {
      const { state, operation } = stateWithOrders()
      return checkOperation(state, operation)
    },
  },
  {
    call: 'DeleteStream',
    meaning: 'There is no stream of this name.',
    provoke: () => checkOperation(new MetadataState(), { kind: 'delete-stream', stream: 'orders' }),
  },
  {
    call: 'PauseStream, SetStreamReadonly',
    meaning:
      'There is no stream of this name. With partitions listed the text is `stream does not exist`.',
    provoke: () => selectPartitions(new MetadataState(), 'orders', []),
  },
  {
    call: 'PauseStream, SetStreamReadonly',
    meaning: 'A listed partition does not exist.',
    provoke: () => selectPartitions(stateWithOrders().state, 'orders', [7]),
  },
]
