import { constants, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { GrpcLimits } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'

/** Why a connection was cut; also the label of a metric. */
export type CutReason =
  | 'reset-flood'
  | 'ping-flood'
  | 'settings-flood'
  | 'no-progress'
  | 'handshake-timeout'
  | 'idle'
  | 'age'
  | 'keepalive-timeout'
  | 'protocol-error'
  | 'stopped'

export interface SessionGuardOptions {
  readonly session: ServerHttp2Session
  readonly socket: Socket
  readonly limits: GrpcLimits
  readonly onCut: (reason: CutReason) => void
}

/**
 * What one call may cost in headers before it counts as overhead, and how many wire bytes one
 * message byte, or one byte of our answers, excuses. Generous: short messages in DATA frames of
 * their own pass, empty frames do not.
 */
const CALL_ALLOWANCE_BYTES = 1024
const MESSAGE_BYTE_ALLOWANCE = 16
const ANSWER_BYTE_ALLOWANCE = 4
/**
 * What a DATA frame of a few bytes in the midst of a message counts as: it costs the CPU of some
 * kilobytes. With the usual bounds 4,096 of them may come at once, and 256 a second.
 */
const DRIBBLE_OVERHEAD_BYTES = 64

/**
 * Watches one connection for the abuses that node:http2 leaves to its user [reliability 3e], and
 * for peers that are dead, idle or never speak. Events are counted as they come; everything that
 * needs a clock is looked at in `sweep`, once a second, so a connection costs no timer.
 */
export class SessionGuard {
  readonly #options: SessionGuardOptions
  readonly #resets: TokenBucket
  readonly #pings: TokenBucket
  readonly #settings: TokenBucket
  readonly #overhead: TokenBucket
  readonly #openedMs: number
  /** From when on new calls have to go elsewhere. */
  readonly #retireAtMs: number
  #retired = false
  #ready = false
  #cut = false
  #destroyedSeen = false
  #openCalls = 0
  #lastBusyMs: number
  #callsStarted = 0
  #messageBytes = 0
  #excusedBytes = 0
  #dribbles = 0
  #wireBytes = 0
  #lastWireMs: number
  #pingSentMs: number | undefined

  constructor(options: SessionGuardOptions, nowMs: number) {
    const { session, limits } = options
    this.#options = options
    this.#openedMs = nowMs
    // Connections that began together, after a restart of the server, must not end together.
    this.#retireAtMs = nowMs + limits.connectionAgeMaxMs * (0.9 + 0.2 * Math.random())
    this.#lastBusyMs = nowMs
    this.#lastWireMs = nowMs
    this.#resets = new TokenBucket(limits.resetBurst, limits.resetsPerSecond, nowMs)
    this.#pings = new TokenBucket(limits.pingBurst, limits.pingsPerSecond, nowMs)
    this.#settings = new TokenBucket(limits.settingsBurst, limits.settingsPerSecond, nowMs)
    this.#overhead = new TokenBucket(
      limits.overheadBurstBytes,
      limits.overheadBytesPerSecond,
      nowMs,
    )
    session.on('ping', () => this.#count(this.#pings, 'ping-flood'))
    session.on('remoteSettings', () => {
      this.#ready = true
      this.#count(this.#settings, 'settings-flood')
    })
  }

  get openCalls(): number {
    return this.#openCalls
  }

  callStarted(): void {
    this.#openCalls++
    this.#callsStarted++
  }

  /** `reset`: the client took the call back before we had answered it. */
  callEnded(reset: boolean): void {
    this.#openCalls--
    if (this.#openCalls === 0) this.#lastBusyMs = performance.now()
    if (reset) this.#count(this.#resets, 'reset-flood')
  }

  messageBytes(bytes: number): void {
    this.#messageBytes += bytes
  }

  /** A read of a few bytes completed no message, not for the first time. */
  dribbled(): void {
    this.#dribbles++
  }

  /**
   * node:http2 gave the connection up. That is no news at the end of a connection that was used:
   * Go's client says good-bye with a GOAWAY that nghttp2 takes for a protocol error.
   */
  sessionFailed(): void {
    this.#end('protocol-error', this.#openCalls > 0 || this.#callsStarted === 0)
  }

  /** Ends the connection at once. The peer may see a GOAWAY with ENHANCE_YOUR_CALM. */
  cut(reason: CutReason): void {
    this.#end(reason, true)
  }

  #end(reason: CutReason, report: boolean): void {
    if (this.#cut) return
    this.#cut = true
    const { session, socket, onCut } = this.#options
    const flood = reason.endsWith('-flood') || reason === 'no-progress'
    const code = flood ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_NO_ERROR
    if (!session.destroyed) session.destroy(undefined, code)
    // The session closes its socket gently; a peer that does not read would keep it open.
    setImmediate(() => socket.destroy())
    if (report) onCut(reason)
  }

  sweep(nowMs: number): void {
    if (this.#options.session.destroyed) {
      // A destroyed session ends its socket gently and may wait for its peer for ever.
      if (this.#destroyedSeen) this.#options.socket.destroy()
      this.#destroyedSeen = true
      return
    }
    if (this.#cut) return
    const { limits } = this.#options
    if (!this.#ready) {
      if (nowMs - this.#openedMs > limits.handshakeTimeoutMs) this.cut('handshake-timeout')
      return
    }
    if (this.#openCalls === 0 && nowMs - this.#lastBusyMs > limits.idleTimeoutMs) {
      this.cut('idle')
      return
    }
    this.#sweepAge(nowMs)
    if (this.#options.session.destroyed) return
    this.#sweepBytes(nowMs)
    this.#sweepKeepalive(nowMs)
  }

  /** GOAWAY lets the calls finish that have begun; the client makes new ones elsewhere. */
  #sweepAge(nowMs: number): void {
    const { session, limits } = this.#options
    if (nowMs < this.#retireAtMs) return
    if (nowMs > this.#retireAtMs + limits.connectionAgeGraceMs) return this.cut('age')
    if (this.#retired) return
    this.#retired = true
    session.close()
  }

  #sweepBytes(nowMs: number): void {
    const { socket } = this.#options
    const wire = socket.bytesRead
    if (wire !== this.#wireBytes) {
      this.#lastWireMs = nowMs
      this.#pingSentMs = undefined
    }
    const excused =
      this.#messageBytes * MESSAGE_BYTE_ALLOWANCE +
      this.#callsStarted * CALL_ALLOWANCE_BYTES +
      socket.bytesWritten * ANSWER_BYTE_ALLOWANCE
    const unexcused = wire - this.#wireBytes - (excused - this.#excusedBytes)
    const overhead = Math.max(0, unexcused) + this.#dribbles * DRIBBLE_OVERHEAD_BYTES
    this.#dribbles = 0
    this.#wireBytes = wire
    this.#excusedBytes = excused
    if (overhead > 0 && !this.#overhead.take(overhead, nowMs)) this.cut('no-progress')
  }

  #sweepKeepalive(nowMs: number): void {
    const { session, limits } = this.#options
    if (this.#cut || session.destroyed) return
    if (this.#pingSentMs !== undefined) {
      if (nowMs - this.#pingSentMs > limits.keepaliveTimeoutMs) this.cut('keepalive-timeout')
      return
    }
    if (nowMs - this.#lastWireMs <= limits.keepaliveIntervalMs) return
    this.#pingSentMs = nowMs
    // Any byte that arrives clears the wait, the answer to this PING included.
    session.ping(() => undefined)
  }

  #count(bucket: TokenBucket, reason: CutReason): void {
    if (!bucket.take(1, performance.now())) this.cut(reason)
  }
}
