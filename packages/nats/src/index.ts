export { NatsServer } from './server.ts'
export type { NatsServerEvent, NatsServerOptions, NatsServerStats } from './server.ts'
export type {
  InProcessConnection,
  InProcessHandler,
  InProcessMessage,
  InProcessOptions,
  InProcessSubscribeOptions,
  InProcessSubscription,
} from './clients/in-process-connection.ts'
export { DEFAULT_LIMITS } from './limits.ts'
export type { NatsLimits } from './limits.ts'
export { NatsServerError } from './errors.ts'
export type { NatsErrorCode } from './errors.ts'
export { isLiteralSubject, isValidSubject } from './routing/subject.ts'
export type { NatsAuth, NatsUser } from './auth/authenticator.ts'
export type { NatsPermissions, ResponseRules, SubjectRules } from './auth/permissions.ts'
export type { LameDuckPace } from './clients/client-listener.ts'
export type { NatsTls } from './clients/tls.ts'
export type { MonitorOptions } from './monitoring/monitor.ts'
export { formatNatsConfigProblems, parseNatsConfig } from './conf/nats-config.ts'
export type { NatsConfigResult } from './conf/nats-config.ts'
export type { ConfSources as NatsConfigSources } from './conf/conf-reader.ts'
export type { NatsConfigProblem } from './conf/conf-value.ts'
