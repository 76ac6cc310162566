import { expect, it } from 'vitest'
import { SerfGuest } from '../../src/membership/serf-guest.js'
import { encodeSerfIntent, tryDecodeSerfIntent } from '../../src/membership/serf-messages.js'

function guest(): { readonly serf: SerfGuest; readonly announced: string[] } {
  const announced: string[] = []
  const announce = (bytes: Uint8Array): void => {
    const intent = tryDecodeSerfIntent(bytes)
    if (intent !== undefined && 'kind' in intent) announced.push(`${intent.kind} ${intent.node} ${intent.time}`)
  }
  const serf = new SerfGuest({ name: 'me', announce, relay: () => undefined, ask: () => undefined, leadMs: 400 })
  return { serf, announced }
}

it('whoever comes back after a leave announces its join above it, and can leave again', () => {
  const { serf, announced } = guest()
  serf.leave(5_000, 0)
  expect([serf.takeLeave(200), serf.takeLeave(399), serf.takeLeave(400), serf.takeLeave(401)]).toEqual([
    false,
    false,
    true,
    false,
  ])
  serf.rejoin(1_000)
  serf.leave(5_000, 2_000)
  expect(serf.nextDeadline()).toBe(2_200)
  expect(announced).toEqual(['leave me 1', 'leave me 2', 'join me 3', 'leave me 4'])
})

it('back after a leave it contradicts again who says that it leaves', () => {
  const { serf, announced } = guest()
  serf.leave(0, 0)
  serf.handleMessage(encodeSerfIntent({ kind: 'leave', time: 9, node: 'me' }), 10)
  expect(announced).toEqual([])
  serf.rejoin(20)
  serf.handleMessage(encodeSerfIntent({ kind: 'leave', time: 15, node: 'me' }), 30)
  expect(announced).toEqual(['join me 10', 'join me 16'])
})
