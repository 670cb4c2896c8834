import { constants, type ServerHttp2Stream } from 'node:http2'

/** For the status to reach the client, even behind a socket that is full at this moment. */
const PATIENCE_MS = 500

/**
 * The status is out while the client may still send: what comes is thrown away. Well-behaved
 * clients end the stream themselves when they read the status; others are told to stop after a
 * while. Not at once, because nghttp2 drops a status that still waits for the socket when a reset
 * follows it.
 */
export function stopReceiving(stream: ServerHttp2Stream): void {
  stream.resume()
  if (stream.readableEnded) return
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), PATIENCE_MS).unref()
  stream.once('close', () => clearTimeout(timer))
}
