export { startCluster, type Cluster, type ClusterOptions } from './in-process/cluster.ts'
export { configFrom, type Settings } from './config/from-settings.ts'
export { startServer, type LiftbridgeServer, type ServerOptions } from './server.ts'
export { type LogFields, type Logger, type LogLevel, silentLogger } from './logging/logger.ts'
// What package `sim` builds whole servers from.
export { BusError } from './bus.ts'
export type {
  Bus,
  BusErrorCode,
  Buses,
  BusHandler,
  BusMessage,
  BusStatus,
  BusSubscription,
  SubscribeOptions,
} from './bus.ts'
export type { Clock, Random, Timer } from './clock.ts'
export type { Config } from './config/config.ts'
export { apiMethods } from './api/methods.ts'
export type { CoreOptions } from './core-options.ts'
export { ServerCore } from './server-core.ts'
