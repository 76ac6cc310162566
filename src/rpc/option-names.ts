/**
 * Which options each calling function has, so that a misspelt one is refused rather than passed over: a `timout` would
 * else be a call of thirty seconds.
 */
import { namesOf, unknownName } from '../known-options.js'
import {
  type CallCbOptions,
  type CallOptions,
  invalidArgument,
  type ModuleCallOptions,
  type RemoteOptions,
  type RetryOptions,
  type StreamCbOptions,
  type StreamOptions,
  type StubOptions,
} from './call-options.js'

const CALL: Readonly<Record<keyof CallOptions, true>> = {
  timeout: true,
  nodes: true,
  signal: true,
  idempotent: true,
  version: true,
  where: true,
  policy: true,
  key: true,
  localFirst: true,
  forceRemote: true,
  hedge: true,
  headers: true,
}
const RETRY: Readonly<Record<keyof RetryOptions, true>> = { retries: true, retryDelay: true }
const STREAM: Readonly<Record<keyof StreamOptions, true>> = { ...CALL, ...RETRY, itemTimeout: true }

/** Whose options they are. */
export type OptionOwner = 'callCb' | 'callCbAll' | 'call' | 'remote' | 'streamCb' | 'stub' | '$with' | 'retry'

const NAMES: Readonly<Record<OptionOwner, ReadonlySet<string>>> = {
  callCb: namesOf<CallCbOptions>({ ...CALL, retry: true }),
  callCbAll: namesOf<CallOptions>(CALL),
  call: namesOf<ModuleCallOptions>({ ...CALL, service: true }),
  remote: namesOf<RemoteOptions>({ ...CALL, ...RETRY }),
  streamCb: namesOf<StreamCbOptions>({ ...CALL, retry: true, itemTimeout: true }),
  stub: namesOf<StubOptions>({ ...STREAM, declare: true }),
  $with: namesOf<StreamOptions>(STREAM),
  retry: namesOf<RetryOptions>(RETRY),
}

/** Throws INVALID_ARGUMENT, not executed. What is no object is left to whoever reads it. */
export function checkOptionNames(of: OptionOwner, options: object): void {
  const unknown = unknownName(options, NAMES[of])
  const { retry } = options as { readonly retry?: unknown }
  if (unknown === undefined && typeof retry === 'object' && retry !== null) checkOptionNames('retry', retry)
  if (unknown === undefined) return
  throw invalidArgument(`'${unknown}' is no option of ${of}; there are ${[...NAMES[of]].join(', ')}`)
}
