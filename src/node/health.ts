/** Whether a node should get traffic, and whether it should be replaced: what an orchestrator asks. */
import type { ServiceHealth } from './registration.js'

export interface NodeHealth {
  /** The node runs. A failed service does not make it false: a restart rarely mends what the service depends on. */
  readonly live: boolean
  /** Not leaving, and every service that is meant to be active runs. */
  readonly ready: boolean
  readonly services: Readonly<Record<string, ServiceHealth>>
}

export function nodeHealth(
  phase: 'open' | 'leaving' | 'closed',
  services: Readonly<Record<string, ServiceHealth>>,
): NodeHealth {
  const runs = ({ adminStatus, status }: ServiceHealth): boolean => adminStatus !== 'active' || status === 'running'
  return { live: phase !== 'closed', ready: phase === 'open' && Object.values(services).every(runs), services }
}
