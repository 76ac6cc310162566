/** The door of rpc: calling other nodes, and being called. */

export type { CallContext, MiddlewareContext } from './active-call.js'
export type { Authorize, AuthorizeVerdict } from './authorization.js'
export type {
  CallCbOptions,
  CallOptions,
  ModuleCallOptions,
  RemoteOptions,
  RetryOptions,
  StreamCbOptions,
  StreamOptions,
  StubOptions,
} from './call-options.js'
export type { ServiceRef } from './call-plan.js'
export type { NodeResult } from './caller.js'
export type { CallerIdentity, PeerCertificate } from './caller-identity.js'
export type { RpcTlsOptions } from './certificate-security.js'
export type { CodecChoice } from './codec-choice.js'
export {
  type Contract,
  contractSchemas,
  contractStreams,
  defineService,
  isContract,
  type Methods,
  type ServiceClient,
  type ServiceImpl,
} from './contract.js'
export { currentCall } from './current-call.js'
export type { Candidate, Directory, PeerEvidence } from './directory.js'
export type { Admission, HandlersStats, Provided } from './handlers-options.js'
export type { LocalPassing } from './local-attempt.js'
export { type Method, type MethodOptions, method } from './method.js'
export { methodNames } from './method-lookup.js'
export type { Middleware } from './middleware.js'
export type { OutgoingContext, OutgoingMiddleware } from './outgoing-layers.js'
export type { PayloadCodec } from './payload-codec.js'
export { Rpc } from './rpc.js'
export type { RpcOptions, RpcStats } from './rpc-options.js'
export type { StandardSchemaV1 } from './standard-schema.js'
export { type Stream, type StreamMethodOptions, stream } from './stream-method.js'
export type { AnyApi, ApiStub, ContractStub } from './stub.js'
export type { CallTrace, ServeTrace } from './tracing.js'
