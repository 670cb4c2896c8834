/** What the behaviour suite of Bus is written with. */
import type { Bus, BusMessage } from '../bus.ts'

/** What the suite needs of an implementation of Bus. */
export interface BusUnderTest {
  readonly name: string
  /** A new bus on the NATS under test; all buses of one suite share it. */
  connect(options: { readonly echo: boolean; readonly name?: string }): Promise<Bus>
}

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (data: Uint8Array): string => Buffer.from(data).toString()

/** Keeps what arrives and waits for a number of messages. */
export class Mailbox {
  readonly messages: { readonly subject: string; readonly reply: string; readonly text: string }[] =
    []
  #changed: () => void = () => {}

  readonly handler = (message: BusMessage): void => {
    const { subject, reply, data } = message
    this.messages.push({ subject, reply, text: text(data) })
    this.#changed()
  }

  get texts(): readonly string[] {
    return this.messages.map((message) => message.text)
  }

  async until(count: number): Promise<readonly string[]> {
    while (this.messages.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#changed = resolve
      await promise
    }
    return this.texts
  }
}

/** Everything sent on `buses` so far has reached its subscribers among `buses`. */
export async function settle(...buses: readonly Bus[]): Promise<void> {
  for (const bus of buses) await bus.flush()
  for (const bus of buses) await bus.flush()
}

export async function closeAll(...buses: readonly Bus[]): Promise<void> {
  await Promise.all(buses.map((bus) => bus.close()))
}
