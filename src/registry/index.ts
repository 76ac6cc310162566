/** The door of the registry: which node offers what. */

export { isBootId, makeBootId, raisedBootId } from './boot-id.js'
export type { ServiceDeclaration } from './declaration.js'
export type { DropCounts } from './drops.js'
export type { MemberView, RegistryEffect, RegistryEvent, ServiceEndpoint } from './effects.js'
export { type FeedListener, ServiceFeed, type ServiceSource } from './feed.js'
export {
  type HealthCheckFunction,
  type HealthCheckOptions,
  HealthTracker,
  type ResolvedHealthCheck,
  resolveHealthCheck,
} from './health-check.js'
export {
  type AdminStatus,
  firstStep,
  isInTransition,
  type LifecycleInput,
  type LifecycleState,
  type LifecycleStep,
  nextStep,
} from './lifecycle.js'
export type { Sha256 } from './meta-fetch.js'
export type { StatusChange } from './own-records.js'
export type { PlainData } from './plain-data.js'
export {
  type Instance,
  RECORD_LIMITS,
  SERVICE_STATUSES,
  type ServiceMeta,
  type ServiceStatus,
} from './record.js'
export { Registry } from './registry.js'
export type { RegistryInspection, RegistryOptions } from './registry-options.js'
export type { SelectionContext, SelectionPolicy, SelectionWish } from './selection.js'
export { type SetTimer, WaitList, type WaitOptions, waitForServices } from './wait.js'
export { type ServiceWatch, type WatchOptions, watchService } from './watch.js'
