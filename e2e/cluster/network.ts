/** The cables between servers and NATS, which can be cut, made to lose, and made slow. */
import { filter, hubAddress, launcherOf, namespacePrefix, serverAddress } from './namespaces.ts'
import { SlowRoad } from './slow-road.ts'

/** Seen from the server; what clients send to it passes in all but the last. */
export type Cut = 'both ways' | 'what it sends' | 'what it hears' | 'also from clients'

const LOSS_PERCENT = 20
/** Before the address is looked at for the route, as nft's destination NAT demands. */
const NAT_PRIORITY = -100

export class Network {
  readonly #prefix: string
  readonly #natsPort: () => number
  readonly #roads = new Map<number, SlowRoad>()

  private constructor(prefix: string, natsPort: () => number) {
    this.#prefix = prefix
    this.#natsPort = natsPort
  }

  /** The network of the namespaces in which this program runs; undefined outside. */
  static here(natsPort: () => number): Network | undefined {
    const prefix = namespacePrefix()
    return prefix === undefined ? undefined : new Network(prefix, natsPort)
  }

  host(server: number): string {
    return serverAddress(server)
  }

  natsUrl(server: number): string {
    return `nats://${hubAddress(server)}:${this.#natsPort()}`
  }

  launcher(server: number): readonly string[] {
    return launcherOf(this.#prefix, server)
  }

  cut(server: number, kind: Cut): void {
    const port = this.#natsPort()
    const out = `add rule ip faults out tcp dport ${port} drop\n`
    const into = `add rule ip faults into tcp sport ${port} drop\n`
    if (kind === 'what it sends') this.#apply(server, out)
    else if (kind === 'what it hears') this.#apply(server, into)
    else if (kind === 'both ways') this.#apply(server, out + into)
    else {
      const all = ['out oifname', 'into iifname'].map(
        (end) => `add rule ip faults ${end} to-hub drop`,
      )
      this.#apply(server, `${all.join('\n')}\n`)
    }
  }

  /** Of each five packets one is lost, on its way to NATS as from there. */
  lose(server: number): void {
    const port = this.#natsPort()
    const lost = `numgen random mod 100 < ${LOSS_PERCENT} drop\n`
    this.#apply(
      server,
      `add rule ip faults out tcp dport ${port} ${lost}` +
        `add rule ip faults into tcp sport ${port} ${lost}`,
    )
  }

  /** Resets the connections to NATS, those that are and those that would come. */
  reset(server: number): void {
    const port = this.#natsPort()
    this.#apply(server, `add rule ip faults out tcp dport ${port} reject with tcp reset\n`)
  }

  /** What is sent and heard takes a while, by a detour that every new connection to NATS makes. */
  async slow(server: number, delayMs: () => number): Promise<void> {
    const address = hubAddress(server)
    const port = this.#natsPort()
    const road = await SlowRoad.open(address, port, delayMs)
    this.#roads.set(server, road)
    this.#apply(
      server,
      `add rule ip faults detour tcp dport ${port} dnat to ${address}:${road.port}\n` +
        // A connection that is already there would stay on the straight road.
        `add rule ip faults out ip daddr ${address} tcp dport ${port} reject with tcp reset\n`,
    )
  }

  /** As if nothing had been. */
  mend(server: number): void {
    this.#roads.get(server)?.close()
    this.#roads.delete(server)
    filter(this.#prefix, server, 'add table ip faults\ndelete table ip faults\n')
  }

  #apply(server: number, rules: string): void {
    filter(
      this.#prefix,
      server,
      'add table ip faults\ndelete table ip faults\nadd table ip faults\n' +
        'add chain ip faults out { type filter hook output priority 0; }\n' +
        'add chain ip faults into { type filter hook input priority 0; }\n' +
        `add chain ip faults detour { type nat hook output priority ${NAT_PRIORITY}; }\n${rules}`,
    )
  }
}
