import type { Request, Response, ServerId } from '@liftbridge/raft'

/** What a request is answered with. */
export type RaftAnswer =
  | { readonly kind: 'response'; readonly response: Response }
  /** Nobody answered, or the peer could not: why. */
  | { readonly kind: 'error'; readonly text: string }

/** `state` holds the bytes of a snapshot that is to be installed. */
export type RaftHandler = (
  from: ServerId,
  request: Request,
  state: Uint8Array | undefined,
) => Promise<RaftAnswer>

/**
 * Remote calls between the servers of one Raft group, as the driver sees them. An answer belongs
 * to its call; nothing is promised about the order of several.
 */
export interface RaftNetwork {
  /** Answers peers from now on. The handler never rejects. */
  serve(handler: RaftHandler): void
  /** Never rejects, and never waits for ever. */
  call(to: ServerId, request: Request, state: Uint8Array | undefined): Promise<RaftAnswer>
  /** Ends all calls and answers nobody any more. */
  close(): Promise<void>
}
