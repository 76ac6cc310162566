/** Which addresses may take part, as a list of CIDR blocks. */
import { BlockList, isIP } from 'node:net'
import { ShoalError } from '../errors.js'

/** The test for an address; undefined, which allows all, without a list. Throws INVALID_OPTION for what is no block. */
export function resolveAllowList(allow: readonly string[] | undefined): ((host: string) => boolean) | undefined {
  if (allow === undefined) return undefined
  if (!Array.isArray(allow)) throw new ShoalError('INVALID_OPTION', 'allow must be a list such as 10.0.0.0/8')
  if (allow.length === 0) throw new ShoalError('INVALID_OPTION', 'allow is empty: leave it out to allow every address')
  const blocks = new BlockList()
  for (const block of allow) addBlock(blocks, block)
  return (host) => {
    const plain = host.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host
    const family = isIP(plain)
    return family !== 0 && blocks.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }
}

function addBlock(blocks: BlockList, block: unknown): void {
  const [, address = '', bits] = typeof block === 'string' ? (/^([^/]+)(?:\/(\d{1,3}))?$/.exec(block) ?? []) : []
  const family = isIP(address)
  const width = family === 6 ? 128 : 32
  const prefix = bits === undefined ? width : Number(bits)
  if (family === 0 || prefix > width) {
    throw new ShoalError(
      'INVALID_OPTION',
      `allow has '${String(block)}', which is no block such as 10.0.0.0/8 or fd00::/8`,
    )
  }
  blocks.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
}
