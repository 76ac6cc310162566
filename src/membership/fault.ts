/** What users are told of membership's troubles: each notice as one error with a code, words and fields. */
import { MembershipFault, type MembershipFaultCode, unreachable } from '../errors.js'
import type { Notice } from './effects.js'

/** The fault that a notice is; undefined for one that is no trouble of the user's. */
export function faultOf(notice: Notice): MembershipFault | undefined {
  switch (notice.kind) {
    case 'udp-blocked': {
      const { member, address, local } = notice
      const words =
        `'${member}' answers over TCP and not over UDP: check that UDP passes from ${local} to ${address} and back, ` +
        'in firewalls, security groups and port mappings'
      return fault('UDP_BLOCKED', words, { member, peer: address, local })
    }
    case 'version-conflict':
      return fault('VERSION_CONFLICT', `${notice.peer}: ${notice.reason}`, notice)
    case 'peer-error':
      return fault('PEER_ERROR', `exchange with ${notice.peer}: ${notice.reason}`, notice)
    case 'member-refused': {
      const { member, address, reason } = notice
      return fault('MEMBER_REFUSED', `'${member}' at ${address} is kept out: ${reason}`, {
        member,
        peer: address,
        reason,
      })
    }
    case 'merge-refused':
      return fault('MERGE_REFUSED', `the join of ${notice.peer} was refused: ${notice.reason}`, notice)
    case 'hook-failed':
      return fault('HOOK_FAILED', `the hook ${notice.hook} failed, which refuses`, { cause: notice.cause })
    case 'socket-error':
      return fault('SOCKET_ERROR', `the gossip socket says ${notice.code}: ${notice.reason}`, notice)
    case 'snapshot':
      return fault('SNAPSHOT_FAILED', `the snapshot ${notice.path}: ${notice.reason}`, { reason: notice.reason })
    case 'foreign-self':
    case 'name-settled':
      return undefined
    default:
      return unreachable(notice)
  }
}

interface Fields {
  readonly member?: string
  readonly peer?: string
  readonly local?: string
  readonly reason?: string
  readonly cause?: unknown
}

function fault(code: MembershipFaultCode, message: string, fields: Fields): MembershipFault {
  return new MembershipFault(code, message, fields)
}
