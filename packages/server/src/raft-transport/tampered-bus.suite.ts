import type { Bus, BusHandler, BusMessage, BusStatus, BusSubscription } from '../bus.ts'

/** A bus that can be made to misbehave. */
export class TamperedBus implements Bus {
  connected = true
  pendingBytes = 0
  failing = false
  /** How often NATS brings each message. */
  copies = 1
  readonly #bus: Bus
  readonly #listeners: ((status: BusStatus) => void)[] = []

  constructor(bus: Bus) {
    this.#bus = bus
  }

  get maxPayloadBytes(): number {
    return this.#bus.maxPayloadBytes
  }

  tell(status: BusStatus): void {
    for (const listener of this.#listeners) listener(status)
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    if (this.failing) throw new Error('refused')
    for (let copy = 0; copy < this.copies; copy++) this.#bus.publish(subject, payload, reply)
  }

  subscribe(subject: string, handler: BusHandler): BusSubscription {
    if (this.failing) throw new Error('refused')
    const subscription = this.#bus.subscribe(subject, handler)
    return {
      unsubscribe: () => {
        if (this.failing) throw new Error('refused')
        subscription.unsubscribe()
      },
    }
  }

  hasInterest(subject: string): boolean {
    return this.#bus.hasInterest(subject)
  }

  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<BusMessage> {
    return this.#bus.request(subject, payload, timeoutMs)
  }

  drained(): Promise<void> {
    return this.#bus.drained()
  }

  flush(): Promise<void> {
    return this.#bus.flush()
  }

  onStatus(listener: (status: BusStatus) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }
}
