/** Reads partitions from their first to their newest message into their history. */
import type { Anomaly } from './history.ts'
import type { Target } from './load.ts'
import { identify, type Identity, isIntact, keyText } from './payload.ts'
import { prefixed, type RawCall, RawConnection } from './raw-grpc.ts'
import { encodeSubscribe, FieldReader } from './raw-messages.ts'

const NEW_ONLY = 0
const EARLIEST = 2
const STOP_LATEST = 2
const RESOURCE_EXHAUSTED = 8

export type ReadResult = { readonly messages: number; readonly anomalies: readonly Anomaly[] }

/** Reads all targets one after the other; rejects when a subscription ends in any other way than at its stop. */
export async function readBack(
  address: string,
  targets: readonly Target[],
  from: 'leader' | 'replica' = 'leader',
): Promise<ReadResult> {
  const connection = await RawConnection.open(address)
  try {
    const anomalies: Anomaly[] = []
    let messages = 0
    for (const target of targets) {
      await readPartition(connection, target, from)
      anomalies.push(...target.history.endRead())
      messages += target.history.length
    }
    return { messages, anomalies }
  } finally {
    connection.close()
  }
}

/**
 * Follows what a replica shows from now on, into the history, until the call is cancelled or
 * ends. `onFault` is given what no server may send: no handshake, or an offset out of turn.
 */
export function follow(
  connection: RawConnection,
  target: Target,
  onFault: (error: Error) => void,
): RawCall {
  const call = connection.call('Subscribe')
  const message = new MessageReader()
  let handshake = false
  let next: number | undefined
  call.onMessages(
    (bytes, start, end) => {
      if (!handshake) {
        handshake = true
        return
      }
      const { offset, id } = message.parse(bytes, [start, end])
      if (next !== undefined && offset !== next) {
        throw new Error(`${target.stream} ${target.partition}: ${offset} follows ${next - 1}`)
      }
      next = offset + 1
      if (id === undefined) throw new Error(`offset ${offset} holds a message of nobody`)
      target.history.glimpse(offset, id.writer, id.sequence)
    },
    undefined,
    onFault,
  )
  const { stream, partition } = target
  const request = { stream, partition, startPosition: NEW_ONLY, readIsrReplica: true }
  call.end(prefixed(encodeSubscribe(request)))
  return call
}

async function readPartition(
  connection: RawConnection,
  target: Target,
  from: 'leader' | 'replica',
): Promise<void> {
  const call = connection.call('Subscribe')
  const message = new MessageReader()
  let handshake = false
  target.history.beginRead()
  let fault: Error | undefined
  call.onMessages(
    (bytes, start, end) => {
      if (handshake) message.read(bytes, [start, end], target)
      else if (start === end) handshake = true
      else throw new Error(`${target.stream}: the first message is not empty`)
    },
    undefined,
    (error) => {
      fault = error
      call.cancel()
    },
  )
  const { stream, partition } = target
  const position = { startPosition: EARLIEST, stopPosition: STOP_LATEST }
  const readIsrReplica = from === 'replica'
  call.end(prefixed(encodeSubscribe({ stream, partition, readIsrReplica, ...position })))
  const { code, message: text } = await call.ended
  if (fault !== undefined) throw fault
  const empty = text === 'Stream is empty' && target.history.length === 0
  if (code === RESOURCE_EXHAUSTED && (empty || text === 'Stop offset reached')) return
  throw new Error(`reading ${stream} ${partition} ended with ${code} ${text}`)
}

type ReadMessage = {
  readonly offset: number
  readonly key: readonly [number, number]
  readonly value: readonly [number, number]
  /** Undefined when the value names nobody. */
  readonly id: Identity | undefined
}

/** Message { 1 offset, 2 key, 3 value, … } */
class MessageReader {
  readonly #fields = new FieldReader()

  read(bytes: Buffer, range: readonly [number, number], target: Target): void {
    const { offset, key, value, id } = this.parse(bytes, range)
    if (id === undefined) {
      const shown = JSON.stringify(
        bytes.toString('latin1', value[0], Math.min(value[1], value[0] + 40)),
      )
      target.history.readUnknown(offset, shown)
      return
    }
    const sameKey = bytes.toString('latin1', key[0], key[1]) === keyText(id)
    const intact = sameKey && isIntact(bytes, value, id)
    target.history.read(offset, id.writer, id.sequence, intact)
  }

  parse(bytes: Buffer, range: readonly [number, number]): ReadMessage {
    let offset = 0
    let key: [number, number] = [0, 0]
    let value: [number, number] = [0, 0]
    const fields = this.#fields
    fields.reset(bytes, range[0], range[1])
    while (fields.next()) {
      if (fields.field === 1) offset = fields.value
      else if (fields.field === 2) key = [fields.start, fields.end]
      else if (fields.field === 3) value = [fields.start, fields.end]
    }
    return { offset, key, value, id: identify(bytes, value[0], value[1]) }
  }
}
