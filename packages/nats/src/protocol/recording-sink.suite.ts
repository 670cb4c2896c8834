import type { CommandSink, SubscribeRequest } from './command-parser.ts'
import type { Publication } from '../routing/publication.ts'

/** Writes down what the parser reports, one line each. */
export class RecordingSink implements CommandSink {
  readonly acceptsHeaders = true
  readonly events: string[] = []
  onEvent: (event: string) => unknown = () => {}
  onPublication: (publication: Publication) => void = () => {}

  onConnect(json: string): void {
    this.#add(`connect ${json}`)
  }

  onPublish(publication: Publication): void {
    const { subject, reply, headerBytes, bytes, start, end } = publication
    const payload = Buffer.from(bytes.subarray(start, end)).toString('latin1')
    this.#add(`pub ${subject} ${reply} ${headerBytes} ${payload}`)
    this.onPublication(publication)
  }

  onSubscribe(request: SubscribeRequest): void {
    this.#add(`sub ${request.subject} ${request.queue} ${request.sid}`)
  }

  onUnsubscribe(sid: string, max: number): void {
    this.#add(`unsub ${sid} ${max}`)
  }

  onPing(): void {
    this.#add('ping')
  }

  onPong(): void {
    this.#add('pong')
  }

  onProtocolError(text: string | undefined): void {
    this.#add(`error ${text ?? '(silent)'}`)
  }

  #add(event: string): void {
    this.events.push(event)
    this.onEvent(event)
  }
}
