/** Names of the gRPC statuses with which a request about metadata can be refused. */
export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'INTERNAL'

/** Why an operation or a request is refused; `text` is what the client reads. */
export interface Rejection {
  readonly kind: 'rejected'
  readonly status: StatusName
  readonly text: string
}

export interface Accepted {
  readonly kind: 'ok'
}

export type Check = Accepted | Rejection

export const OK: Accepted = { kind: 'ok' }

/** Builds a rejection. */
export const rejected = (status: StatusName, text: string): Rejection => ({
  kind: 'rejected',
  status,
  text,
})

export const STREAM_DOES_NOT_EXIST: Rejection = rejected('NOT_FOUND', 'stream does not exist')
export const PARTITION_DOES_NOT_EXIST: Rejection = rejected('NOT_FOUND', 'partition does not exist')
