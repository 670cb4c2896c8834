/** Servers, a controller and a network between them, on virtual time, for one partition. */
import assert from 'node:assert/strict'
import type { IsrProposal } from '../leader-types.ts'
import type { ServerId, SyncPolicy } from '../units.ts'
import { ModelChecks } from './model-checks.suite.ts'
import { ModelController } from './model-controller.suite.ts'
import { ModelNode, type Message, type NodePort } from './model-node.suite.ts'
import { ModelRandom } from './model-random.suite.ts'

export type ClusterOptions = {
  readonly seed: number
  readonly servers: number
  readonly minIsr: number
  readonly syncPolicy: SyncPolicy
  readonly maxBatch: number
}

/** How the network and the disks behave at the moment. */
export type Weather = {
  loss: number
  duplication: number
  maxDelayMs: number
  syncMs: number
}

type Event = { readonly at: number; readonly order: number; readonly run: () => void }

export class ModelCluster {
  readonly options: ClusterOptions
  readonly random: ModelRandom
  readonly controller: ModelController
  readonly checks: ModelChecks
  readonly nodes: readonly ModelNode[]
  readonly weather: Weather = { loss: 0, duplication: 0, maxDelayMs: 1, syncMs: 1 }
  /** Pairs "a>b" that hear nothing of each other, and servers that the controller cannot reach. */
  readonly cuts = new Set<string>()
  readonly steps: string[] = []
  /** Servers that were removed from the history of a message: `<from> <kind>`, by who drops it. */
  drop: (from: ServerId, to: ServerId, message: Message) => boolean = () => false
  now = 0
  #order = 0
  #published = 0
  #events: Event[] = []

  constructor(options: ClusterOptions) {
    this.options = options
    this.random = new ModelRandom(options.seed)
    const replicas = ['A', 'B', 'C', 'D', 'E'].slice(0, options.servers)
    this.controller = new ModelController(replicas)
    this.checks = new ModelChecks(options.minIsr, options.syncPolicy === 'never')
    const settings = { ...options, replicas, maxLagMs: 600, maxLeaderTimeoutMs: 400 }
    const port = this.#port()
    this.nodes = replicas.map((id) => new ModelNode(id, settings, port))
  }

  node(id: ServerId): ModelNode {
    const node = this.nodes.find((candidate) => candidate.id === id)
    assert.ok(node !== undefined)
    return node
  }

  get leader(): ModelNode {
    return this.node(this.controller.current.leader)
  }

  note(step: string): void {
    this.steps.push(`${this.now} ${step}`)
  }

  start(...ids: readonly ServerId[]): void {
    for (const node of this.nodes) {
      if ((ids.length > 0 && !ids.includes(node.id)) || node.isUp) continue
      this.note(`start ${node.id}`)
      // What was applied last may be applied anew after a restart.
      const index = Math.max(0, node.applied - this.random.below(2))
      const metadata = this.controller.history[index]
      assert.ok(metadata !== undefined)
      node.start(metadata, index)
      this.#learn(node)
      this.#watch(node)
    }
  }

  /** The process dies; what it wrote is still in the page cache. */
  kill(id: ServerId): void {
    const node = this.node(id)
    if (!node.isUp) return
    this.note(`kill ${id}`)
    node.stop()
    node.log.crash(Number.POSITIVE_INFINITY)
  }

  /** The machine loses power: of what was not synced, `kept` records survive. */
  crash(id: ServerId, kept = 0): void {
    const node = this.node(id)
    if (!node.isUp) return
    this.note(`crash ${id} keeping ${kept}`)
    node.stop()
    node.log.crash(kept)
    if (this.options.syncPolicy === 'never') node.proven = false
  }

  wipe(id: ServerId): void {
    assert.ok(!this.node(id).isUp)
    this.note(`wipe ${id}`)
    this.node(id).log.wipe()
    this.node(id).proven = false
    this.node(id).fault = undefined
  }

  publish(node: ModelNode = this.leader): number | undefined {
    if (!node.isUp) return undefined
    this.#published += 1
    return node.publish(`m${this.#published}`)
  }

  cut(a: ServerId, b: ServerId): void {
    this.cuts.add(`${a}>${b}`).add(`${b}>${a}`)
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(`${from}>${to}`)
  }

  after(delayMs: number, run: () => void): void {
    this.#order += 1
    this.#events.push({ at: this.now + delayMs, order: this.#order, run })
  }

  /** Lets virtual time pass. */
  run(forMs: number, until: () => boolean = () => false): void {
    const end = this.now + forMs
    while (!until()) {
      const next = this.#next()
      if (next === undefined || next.at > end) break
      this.#events.splice(this.#events.indexOf(next), 1)
      this.now = Math.max(this.now, next.at)
      next.run()
      for (const node of this.nodes) {
        this.checks.checkLeader(node, this.controller.current, this.nodes)
      }
    }
    if (!until()) this.now = end
  }

  #next(): Event | undefined {
    let next: Event | undefined
    for (const event of this.#events) {
      const isSooner =
        next === undefined ||
        event.at < next.at ||
        (event.at === next.at && event.order < next.order)
      if (isSooner) next = event
    }
    return next
  }

  /** Ticks the node when its core wants it. */
  #watch(node: ModelNode): void {
    const { incarnation } = node
    const wake = (): void => {
      if (!node.isUp || node.incarnation !== incarnation) return
      if (node.wakeAt <= this.now) node.tick()
      this.after(Math.max(1, Math.min(node.wakeAt - this.now, 20)), wake)
    }
    wake()
  }

  /** The node learns of the controller's history step by step. */
  #learn(node: ModelNode): void {
    const { incarnation } = node
    const { history } = this.controller
    const next = (): void => {
      if (!node.isUp || node.incarnation !== incarnation) return
      const metadata = history[node.applied + 1]
      if (metadata !== undefined && !this.isCut('controller', node.id)) {
        this.note(`${node.id} learns ${JSON.stringify(metadata)}`)
        node.apply(metadata, node.applied + 1)
      }
      this.after(1 + this.random.below(this.weather.maxDelayMs), next)
    }
    this.after(1 + this.random.below(this.weather.maxDelayMs), next)
  }

  #deliver(from: string, to: string, run: () => void): void {
    const { loss, duplication, maxDelayMs } = this.weather
    if (this.isCut(from, to) || this.random.chance(loss)) return
    this.after(1 + this.random.below(maxDelayMs), run)
    if (this.random.chance(duplication)) this.after(1 + this.random.below(maxDelayMs * 20), run)
  }

  #port(): NodePort {
    const { controller, checks } = this
    return {
      now: () => this.now,
      send: (from, to, message) => {
        if (this.drop(from, to, message)) return
        this.#deliver(from, to, () => {
          if (this.node(to).isUp) this.node(to).receive(from, message)
        })
      },
      afterSync: (done) => this.after(this.random.below(this.weather.syncMs + 1), done),
      propose: (node, proposal) => this.#propose(node, proposal),
      report: (node) => {
        const epoch = node.metadata?.leaderEpoch ?? 0
        this.#deliver(node.id, 'controller', () => controller.report(node.id, epoch, this.#pick))
      },
      decline: (node, why) => {
        const epoch = node.metadata?.leaderEpoch ?? 0
        const decide = (): void =>
          why === 'renew'
            ? controller.renew(node.id, epoch)
            : controller.replaceLeader(node.id, epoch, this.#pick)
        // Asked again until the metadata moved on.
        const ask = (): void => {
          if (!node.isUp || node.leader !== undefined) return
          if (node.metadata?.leaderEpoch !== epoch) return
          this.#deliver(node.id, 'controller', decide)
          this.after(50, ask)
        }
        ask()
      },
      onAcked: (node, through) => checks.onAcked(node, through),
      onHighWatermark: (node) => {
        this.note(`${node.id} high watermark ${node.log.highWatermark}`)
        checks.onHighWatermark(node)
      },
      onAppended: (node, offset) => checks.onAppended(node, offset),
      onLeading: (node) => {
        this.note(`${node.id} leads epoch ${node.metadata?.leaderEpoch}`)
        checks.onLeading(node)
      },
    }
  }

  readonly #pick = (candidates: readonly ServerId[]): ServerId | undefined =>
    this.random.pick(candidates)

  #propose(node: ModelNode, proposal: IsrProposal): void {
    this.#deliver(node.id, 'controller', () => {
      const applied = this.controller.propose(proposal)
      this.note(`${node.id} proposes ${JSON.stringify(proposal)}: ${applied}`)
      this.#deliver('controller', node.id, () => {
        if (node.isUp) node.isrAnswered(proposal.partitionEpoch, applied)
      })
    })
  }
}
