/** The door of membership: who is in the cluster. */

export { isLoopback, resolveAdvertise } from './advertise.js'
export type { DelegateProtocol, Profile, SwimConfig } from './config.js'
export { PROFILES, resolveSwimConfig } from './config.js'
export type { Effect, MemberEvent, MemberEventType, Notice } from './effects.js'
export type { GossipKey, KeyringControl } from './keyring.js'
export type { Member, MemberState } from './member.js'
export { TAG_BOOT_ID, TAG_RPC_ADDRESS } from './member.js'
export type { LeaveResult, MembershipOptions, MembershipStats } from './membership.js'
export { Membership } from './membership.js'
export type { Broadcast, PayloadHandler, Verdict } from './payload.js'
export type { JoinResult } from './seeds.js'
export { Swim, type SwimOptions, type SwimStats } from './swim.js'
