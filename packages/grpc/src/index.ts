export { encodeFrame, encodeFrames, FRAME_PREFIX_BYTES, writeFramePrefix } from './frames-out.ts'
export { DEFAULT_LIMITS, type GrpcLimits } from './limits.ts'
export { messageAt, messagesOf, type MessageChunk } from './message-chunk.ts'
export { Metadata } from './metadata.ts'
export type { Method, MethodTable, Peer, ResponseStream, ServerCall } from './method.ts'
export type { OutgoingStream } from './outgoing-messages.ts'
export { GrpcServer, type GrpcServerOptions, type GrpcServerStats } from './server.ts'
export type { CutReason } from './session-guard.ts'
export { GrpcError, GrpcStatus, statusName, type GrpcStatusName } from './status.ts'
export {
  GrpcChannel,
  type BidiCall,
  type CallOptions,
  type ChannelOptions,
  type ClientStreamCall,
  type ServerStreamCall,
} from './client.ts'
export { HealthService } from './health.ts'
export {
  decodeHealthRequest,
  decodeHealthResponse,
  encodeHealthRequest,
  ServingStatus,
} from './health-codec.ts'
export { FrameSlicer, type FrameSlicerOptions, type SlicedChunk } from './frames-in.ts'
export { percentDecode, percentEncode } from './percent.ts'
export { formatTimeout, parseTimeout } from './timeout.ts'
