export { startCluster, type Cluster, type ClusterOptions } from './in-process/cluster.ts'
export { configFrom, type Settings } from './config/from-settings.ts'
export { startServer, type LiftbridgeServer, type ServerOptions } from './server.ts'
export { silentLogger, type Logger } from './logging/logger.ts'
