/**
 * A membership among serf agents in a process of its own, to be killed. Its options come as JSON in the first argument;
 * it tells its address once its seeds were tried, and ends with its IPC channel.
 */
import { Membership } from '../../src/membership/membership.js'

const options = JSON.parse(process.argv[2] ?? '{}') as Parameters<typeof Membership.start>[0]
const membership = await Membership.start(options)
await membership.joinSeeds()
process.send?.(membership.address)
process.on('disconnect', () => process.exit(0))
