/** The tables of docs/malla.md must not rot: no function of Malla is missing, and every test that they name is there. */
import { describe, expect, it } from 'vitest'
import { bareRows, hasTest, tableRows } from '../support/test-table.js'

/** What Malla offers to more than one node, in the order of the page. */
const MALLA: Readonly<Record<string, readonly string[]>> = {
  'Malla.Node': [
    'get_instances/1',
    'get_nodes/1',
    'get_services/0',
    'wait_for_services/2',
    'wait_for_services: retries',
    'call/4',
    'call: timeout',
    'call: timeout 0',
    'call: timeout :infinity',
    'call: service_id',
    'call: nodes',
    'call: default_service_id',
    'call_cb/4',
    'service_cb_in/3',
    'call_cb_all/4',
    'precompile_stubs/0',
    'cb/4',
    'cb_all_sync/4',
    'update_service_info_global',
  ],
  Malla: [
    'remote/4',
    'remote: timeout',
    'remote: sna_retries',
    'remote: excp_retries',
    'remote: retries_sleep_msec',
    'call/2',
    'local/3',
    'local/2',
    'virtual module',
    'authorize/3',
    'metric/4',
    'event/2',
    'get_service_id/0',
    'get_service_id!/0',
    'put_service_id/1',
    'get_service_name/1',
    'get_service_meta/1',
  ],
  'Malla.Service': [
    'start_link/1',
    'option global',
    'option vsn',
    'option class',
    'option paused',
    'option plugins',
    'option otp_app',
    'option silent',
    'callbacks (defcb)',
    'stop/0',
    'set_admin_status(:active)',
    'set_admin_status(:pause)',
    'set_admin_status(:inactive)',
    'get_status/0',
    'get_service_info/0',
    'is_live?/0',
    'is_ready?/0',
    'drain/0',
    'reconfigure/1',
    'add_plugin',
    'del_plugin',
    'restart_plugin',
    'child_spec/1',
    'metadata',
    'running status',
    'service_status_changed',
  ],
  'Malla.Cluster': [
    'connect/1',
    'connect: name@host',
    'connect: host (SRV)',
    'connect: list',
    'process, 5 s loop',
    'env connect',
    'env cluster',
  ],
  'Layers above': ['Malla.Request', 'Malla.Status', 'Malla.Tracer', 'Malla.Plugins', 'Malla.Plugins.Httpd.Lifecycle'],
}
/** What was measured to go wrong there. */
const WEAKNESSES = 35

const functions = tableRows('docs/malla.md', /^\d+$/)
const weaknesses = tableRows('docs/malla.md', /^W\d+$/)

it('each function and option of Malla has its row, with a test or the reason why it is not here', () => {
  expect(functions.map(({ theirs }) => theirs)).toEqual(
    Object.values(MALLA).flatMap((names) => names.map((name) => `\`${name}\``)),
  )
  expect(functions.map(({ id }) => Number(id))).toEqual(functions.map((_, index) => index + 1))
  expect(bareRows(functions, 'Refused: ', 'Later: ')).toEqual([])
  expect(functions.filter(({ ours }) => ours === '')).toEqual([])
})

it('each weakness has its row, with a test that shows what happens here', () => {
  expect(weaknesses.map(({ id }) => id)).toEqual(Array.from({ length: WEAKNESSES }, (_, index) => `W${index + 1}`))
  expect(bareRows(weaknesses)).toEqual([])
})

describe.each([...functions, ...weaknesses].filter(({ tests }) => tests.length > 0))('row $id', ({ tests, unread }) => {
  it.each(tests)('$file: $name', (test) => {
    expect(hasTest(test), `${test.file} has no such test`).toBe(true)
  })

  it('names nothing but tests', () => {
    expect(unread).toEqual([])
  })
})
