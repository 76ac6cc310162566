/** What a caller is told when there was nobody to try: whether nobody is there, or its own wishes left nobody, and the way out. */
import { RpcError } from '../errors.js'
import type { CallRequest } from './call.js'
import type { Selection } from './directory.js'

const NODES_SHOWN = 8

export function noInstances({ service, method }: CallRequest, selection: Selection = {}): RpcError {
  const message = `${missing(service, selection)}, so ${method} could not be called; ${wayOut(selection)}`
  return new RpcError('NO_INSTANCES', message, { executed: 'no' })
}

function missing(service: string, { nodes, version, where }: Selection): string {
  const filters = [
    ...(version === undefined ? [] : [` with a version in '${version}'`]),
    ...(where === undefined ? [] : [` that 'where' accepts`]),
  ].join(' and')
  if (nodes === undefined) return `no running instance of '${service}'${filters} is known`
  if (nodes.length === 0) return `'nodes' is empty, which leaves no instance of '${service}'`
  const named = nodes.slice(0, NODES_SHOWN).join(`', '`)
  const rest = nodes.length > NODES_SHOWN ? ` and ${nodes.length - NODES_SHOWN} more` : ''
  if (filters === '') return `none of the nodes '${named}'${rest} is known to take calls`
  return `no instance of '${service}'${filters} is known on '${named}'${rest}`
}

function wayOut({ nodes, version, where }: Selection): string {
  if (version !== undefined || where !== undefined) return 'compare with getInstances, which lists what there is'
  if (nodes !== undefined) return 'compare with members, or leave nodes out to call any instance'
  return 'wait for it with waitForServices, or check that a node of this cluster provides it'
}
