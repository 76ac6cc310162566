/**
 * Why an address cannot be bound, in words that name the option and the way out. The system's code stays the error's code:
 * it is what whoever starts processes looks for.
 */
import { formatHostPort, type HostPort } from './address.js'

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something listens there already: end it, or set another port; port 0 takes a free one',
  EADDRNOTAVAIL: 'this machine has no such address: set one of its own, or 0.0.0.0 for all',
  ENOTFOUND: 'the name does not resolve: check it and the name server, or set an IP address',
  EAI_AGAIN: 'the name server did not answer: check it, or set an IP address',
  EACCES: 'this process may not: ports below 1024 take a privilege, set another one',
}

/** The error for whoever set the option; what has another cause is passed on as it is. */
export function bindFault(option: string, address: HostPort, error: unknown): unknown {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const advice = typeof code === 'string' ? ADVICE[code] : undefined
  if (advice === undefined) return error
  const message = `${option} '${formatHostPort(address)}' cannot be used (${code}): ${advice}`
  return Object.assign(new Error(message, { cause: error }), { code })
}
