/** The package's door: all that users import, by name. */

export {
  type CallErrorCode,
  type ErrorCode,
  type Executed,
  type FailedAttempt,
  isRpcError,
  isShoalError,
  MembershipFault,
  type MembershipFaultCode,
  type NodeErrorCode,
  type RemoteFailure,
  RpcError,
  type RpcFaultCode,
  ShoalError,
  WaitTimeoutError,
} from './errors.js'
export type {
  AdmissionHooks,
  DelegateProtocol,
  GossipKey,
  HookVerdict,
  JoinResult,
  KeyringControl,
  Member,
  MemberEvent,
  MemberEventType,
  MemberState,
  MergeRequest,
  PingOptions,
  Profile,
  SeedSource,
  Seeds,
  SwimConfig,
} from './membership/index.js'
export { closeOnSignal } from './node/close-on-signal.js'
export type { NodeHealth } from './node/health.js'
export type { ServiceHook } from './node/hook.js'
export type { NodeInspection } from './node/inspection.js'
export type { CloseOnSignalOptions, LeaveOptions, WaitForServicesOptions } from './node/node-options.js'
export type { HealthNodeOptions, NodeOptions, RpcNodeOptions } from './node/options.js'
export type { ProvideOptions } from './node/provided-services.js'
export type { Registration, ServiceHealth } from './node/registration.js'
export type { NodeEvents, ShoalNode } from './node/shoal-node.js'
export { createNode } from './node.js'
export type {
  AdminStatus,
  HealthCheckFunction,
  HealthCheckOptions,
  Instance,
  RegistryEvent,
  ServiceMeta,
  ServiceStatus,
  ServiceWatch,
} from './registry/index.js'
export {
  type Authorize,
  type AuthorizeVerdict,
  type CallCbOptions,
  type CallContext,
  type CallerIdentity,
  type CallOptions,
  type CallTrace,
  type CodecChoice,
  type Contract,
  currentCall,
  defineService,
  type Method,
  type MethodOptions,
  type Middleware,
  type MiddlewareContext,
  type ModuleCallOptions,
  method,
  type NodeResult,
  type OutgoingContext,
  type OutgoingMiddleware,
  type PayloadCodec,
  type PeerCertificate,
  type RemoteOptions,
  type RpcTlsOptions,
  type ServeTrace,
  type ServiceClient,
  type ServiceImpl,
  type StandardSchemaV1,
  type Stream,
  type StreamCbOptions,
  type StreamMethodOptions,
  type StreamOptions,
  type StubOptions,
  stream,
} from './rpc/index.js'
