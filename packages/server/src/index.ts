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
export { loadConfig } from './config/load.ts'
export { API_SERVICE, apiMethods } from './api/methods.ts'
export { LiftbridgeError } from './errors.ts'
export { type LogFields, type Logger, type LogLevel, silentLogger } from './logging/logger.ts'
export { type CoreOptions, ServerCore } from './server-core.ts'
