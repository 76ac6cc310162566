/**
 * Decides what a user may announce: checks names, meta and sizes, and throws with the limit and the value that broke it.
 * What comes from the network is parse.ts's affair, with the same limits.
 */
import { ShoalError } from '../errors.js'
import { copyPlainData } from './plain-data.js'
import {
  isName,
  LARGE_META_LIMITS,
  META_LIMITS,
  RECORD_LIMITS,
  type RegistryRecord,
  recordWeight,
  SERVICE_STATUSES,
  type ServiceMeta,
  type ServiceStatus,
} from './record.js'

/** What a user says of a service when it is provided. */
export interface ServiceDeclaration {
  readonly service: string
  /** Default `''`. */
  readonly version?: string | undefined
  readonly methods?: readonly string[] | undefined
  readonly meta?: ServiceMeta | undefined
  /** Default `starting`. */
  readonly status?: ServiceStatus | undefined
  readonly reason?: string | undefined
}

/** The part of a record that its user decides, checked. */
export type RecordContent = Pick<RegistryRecord, 'service' | 'version' | 'status' | 'reason' | 'methods' | 'meta'>

/** Checks a user's declaration. Throws INVALID_ARGUMENT or TOO_LARGE; nothing is changed then. */
export function checkDeclaration(declaration: ServiceDeclaration): RecordContent {
  const { service, version = '', methods = [], meta = {}, status = 'starting', reason } = declaration
  if (!isName(service)) throw invalid('a service name', 'non-empty text', service)
  if (version !== '' && !isName(version)) throw invalid(`the version of ${service}`, 'text', version)
  return {
    service,
    version,
    status: checkStatus(status),
    reason: checkReason(reason),
    methods: checkMethods(service, methods),
    meta: checkMeta(service, meta),
  }
}

/** Checks and freezes a user's meta. Throws INVALID_ARGUMENT with the path of what is not plain data, or TOO_LARGE. */
export function checkMeta(service: string, meta: unknown): ServiceMeta {
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) {
    throw new ShoalError('INVALID_ARGUMENT', `meta of ${service} must be an object of plain data`)
  }
  const copy = copyPlainData(meta, LARGE_META_LIMITS)
  if (copy.ok) return copy.value as ServiceMeta
  if (copy.fault === 'too-large') {
    throw new ShoalError('TOO_LARGE', `meta of ${service} is larger than ${RECORD_LIMITS.metaBytesMax} bytes`)
  }
  const why = copy.fault === 'too-deep' ? `is nested deeper than ${RECORD_LIMITS.metaDepthMax}` : 'is not plain data'
  throw new ShoalError('INVALID_ARGUMENT', `meta${copy.path} of ${service} ${why}`)
}

export function checkStatus(status: string): ServiceStatus {
  const known = SERVICE_STATUSES.find((each) => each === status)
  if (known !== undefined) return known
  throw new ShoalError('INVALID_ARGUMENT', `a status is one of ${SERVICE_STATUSES.join(' ')}, not ${String(status)}`)
}

/** A reason may be any text, such as an error's message: what is too long is cut, what UTF-8 cannot carry is replaced. */
export function checkReason(reason: string | undefined): string | undefined {
  return reason?.slice(0, RECORD_LIMITS.reasonLengthMax).replace(/\p{Cs}/gu, '\ufffd')
}

/** Completes a record with its weight. Throws TOO_LARGE. */
export function weighRecord(record: Omit<RegistryRecord, 'weight'>): RegistryRecord {
  const meta = copyPlainData(record.meta, META_LIMITS)
  const weight = recordWeight(record, meta.ok ? meta.weight : Number.POSITIVE_INFINITY)
  if (weight <= RECORD_LIMITS.recordWeightMax) return { ...record, weight }
  throw new ShoalError('TOO_LARGE', `${record.service} announces more than ${RECORD_LIMITS.recordWeightMax} bytes`)
}

function checkMethods(service: string, methods: readonly string[]): readonly string[] {
  if (methods.length > RECORD_LIMITS.methodCountMax) {
    throw new ShoalError(
      'TOO_LARGE',
      `${service} has ${methods.length} methods, more than ${RECORD_LIMITS.methodCountMax}`,
    )
  }
  for (const name of methods) if (!isName(name)) throw invalid(`a method name of ${service}`, 'non-empty text', name)
  return Object.freeze([...methods])
}

function invalid(what: string, wanted: string, got: unknown): ShoalError {
  const shown = typeof got === 'string' ? JSON.stringify(got.slice(0, 64)) : typeof got
  const limit = `at most ${RECORD_LIMITS.nameBytesMax} bytes`
  return new ShoalError('INVALID_ARGUMENT', `${what} must be ${wanted} of ${limit}, not ${shown}`)
}
