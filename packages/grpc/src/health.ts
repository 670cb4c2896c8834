import { encodeFrame } from './frames-out.ts'
import { decodeHealthRequest, encodeHealthResponse, ServingStatus } from './health-codec.ts'
import type { MethodTable, ResponseStream, ServerCall } from './method.ts'
import { GrpcError, GrpcStatus } from './status.ts'

interface Watcher {
  readonly service: string
  readonly changed: () => void
}

/**
 * The service `grpc.health.v1.Health`. The empty name stands for the whole server and is
 * SERVING from the start; other names are known once they are set.
 */
export class HealthService {
  readonly methods: MethodTable
  readonly #statuses = new Map<string, ServingStatus>([['', ServingStatus.SERVING]])
  readonly #watchers = new Set<Watcher>()

  constructor() {
    this.methods = {
      '/grpc.health.v1.Health/Check': {
        kind: 'unary',
        handle: async (request) => this.#check(decodeHealthRequest(request)),
      },
      '/grpc.health.v1.Health/Watch': {
        kind: 'server-stream',
        handle: (request, call, responses) =>
          this.#watch(decodeHealthRequest(request), call, responses),
      },
    }
  }

  set(service: string, status: ServingStatus): void {
    if (this.#statuses.get(service) === status) return
    this.#statuses.set(service, status)
    for (const watcher of this.#watchers) if (watcher.service === service) watcher.changed()
  }

  /** Before a drain: balancers stop sending work while what runs may finish. */
  setAll(status: ServingStatus): void {
    for (const service of this.#statuses.keys()) this.set(service, status)
  }

  #check(service: string): Uint8Array {
    const status = this.#statuses.get(service)
    // The text is Go's and part of the golden table [LB clients 1].
    if (status === undefined) throw new GrpcError(GrpcStatus.NOT_FOUND, 'unknown service')
    return encodeHealthResponse(status)
  }

  /** Tells the status now and on every change, until the client or the server ends the call. */
  async #watch(service: string, call: ServerCall, responses: ResponseStream): Promise<void> {
    let wake: () => void = () => undefined
    const watcher = { service, changed: (): void => wake() }
    const onAbort = (): void => wake()
    call.signal.addEventListener('abort', onAbort, { once: true })
    this.#watchers.add(watcher)
    try {
      let told: ServingStatus | undefined
      while (!call.signal.aborted) {
        const status = this.#statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN
        if (status === told) {
          // Only the newest status counts, so changes while we wrote need no queue.
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          continue
        }
        told = status
        if (!responses.write(encodeFrame(encodeHealthResponse(status)))) await responses.drained()
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }
}
