/** Services as users name them, by text or by contract, as texts. */
import { ShoalError } from '../errors.js'
import { isContract, type ServiceRef } from '../rpc/index.js'

export function nameOf(service: ServiceRef): string {
  return isContract(service) ? service.name : service
}

/** The names of a list. Throws INVALID_ARGUMENT for what is no list of services. */
export function serviceNames(services: unknown): string[] {
  if (!Array.isArray(services)) throw noList(services, '')
  return services.map((service: unknown) => {
    if (isContract(service)) return service.name
    if (typeof service === 'string' && service !== '') return service
    throw noList(service, ' in it')
  })
}

function noList(got: unknown, where: string): ShoalError {
  const shown = typeof got === 'string' ? `'${got}'` : got === null ? 'null' : typeof got
  const message = `services must be a list of names or contracts such as ['users'], got ${shown}${where}`
  return new ShoalError('INVALID_ARGUMENT', message)
}
