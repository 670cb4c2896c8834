import { Role, type PublishView } from './publish-view.ts'

/** PublishRequest: 1 key … 9 expectedOffset. */
const requestRoles = Uint8Array.of(
  Role.Unknown,
  Role.Key,
  Role.Value,
  Role.Stream,
  Role.Partition,
  Role.Headers,
  Role.AckInbox,
  Role.CorrelationId,
  Role.AckPolicy,
  Role.ExpectedOffset,
)

/** PublishToSubjectRequest: 1 key … 7 ackPolicy. There is no expected offset: it stays 0. */
const toSubjectRoles = Uint8Array.of(
  Role.Unknown,
  Role.Key,
  Role.Value,
  Role.Subject,
  Role.Headers,
  Role.AckInbox,
  Role.CorrelationId,
  Role.AckPolicy,
)

/** Reads a PublishRequest; false when it is malformed, see `view.problem`. */
export function decodePublishRequest(
  view: PublishView,
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): boolean {
  return view.decode(requestRoles, bytes, start, end)
}

/** Reads a PublishToSubjectRequest; false when it is malformed, see `view.problem`. */
export function decodePublishToSubject(
  view: PublishView,
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): boolean {
  return view.decode(toSubjectRoles, bytes, start, end)
}
