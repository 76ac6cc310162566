/** The boot id in the meta of a record, by which a shoal node shows itself before it is a member. */
import { TAG_BOOT_ID } from './member.js'
import { decodeTags } from './tags.js'

/** Undefined for a node that is no shoal node. */
export function bootIdOf(meta: Uint8Array): string | undefined {
  return decodeTags(meta)[TAG_BOOT_ID]
}
