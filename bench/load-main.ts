/** The load process: one task, one result. */
import { fill, publish, subscribe, tail, unary } from './liftbridge-load.ts'
import { type LoadResult, type LoadTask, send } from './load-program.ts'
import { jetStreamConsume, jetStreamFill, jetStreamPublish, natsRoundTrip } from './nats-load.ts'

function run(task: LoadTask): Promise<LoadResult> {
  switch (task.kind) {
    case 'publish':
      return publish(task)
    case 'fill':
      return fill(task)
    case 'subscribe':
      return subscribe(task)
    case 'unary':
      return unary(task)
    case 'tail':
      return tail(task)
    case 'nats-round-trip':
      return natsRoundTrip(task)
    case 'jetstream-publish':
      return jetStreamPublish(task)
    case 'jetstream-consume':
      return jetStreamConsume(task)
    case 'jetstream-fill':
      return jetStreamFill(task)
    default:
      return task satisfies never
  }
}

process.once('message', (task: LoadTask) => {
  run(task).then(
    (result) => {
      send({ kind: 'end', result })
      process.disconnect()
    },
    (error: unknown) => {
      send({ kind: 'error', message: String(error) })
      process.disconnect()
    },
  )
})
