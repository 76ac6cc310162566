/** The files of `examples/deploy` say what a node needs: they are what people copy. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseSeed } from '../../src/membership/seed.js'
import { resolveOptions } from '../../src/node/options.js'
import { STOP_HOOK_MS } from '../../src/node/registration.js'
import { LEAVE_TIMEOUT_MS } from '../../src/node/shoal-node.js'

const FOLDER = fileURLToPath(new URL('../../examples/deploy/', import.meta.url))
const GOSSIP_PORT = 7_946
const CALLS_PORT = 7_947

// biome-ignore lint/suspicious/noExplicitAny: data of the files; what is not there fails the test that reads it
type Yaml = any

function parse(name: string): Yaml[] {
  return parseAllDocuments(readFileSync(`${FOLDER}${name}`, 'utf8')).map((document) => {
    expect(document.errors).toEqual([])
    expect(document.warnings).toEqual([])
    return document.toJS()
  })
}

function environment(container: Yaml): Record<string, string> {
  return Object.fromEntries(
    container.env.map(({ name, value, valueFrom }: Yaml) => [name, value ?? valueFrom.fieldRef.fieldPath]),
  )
}

/** As `createNode` takes them; throws for what it would refuse. */
function optionsOf(env: Readonly<Record<string, string | undefined>>, name: string | undefined) {
  const { RPC_BIND = '', HEALTH_BIND = '' } = env
  const given = { rpc: { bind: RPC_BIND }, health: { bind: HEALTH_BIND }, ...(name === undefined ? {} : { name }) }
  return resolveOptions(given, { env, hostname: 'pod', random: () => 0.5 })
}

function expectPorts(ports: readonly Yaml[], key: 'port' | 'containerPort'): void {
  const open = ports.map((each) => `${each[key]}/${each.protocol}`)
  expect(open).toEqual(expect.arrayContaining([`${GOSSIP_PORT}/UDP`, `${GOSSIP_PORT}/TCP`, `${CALLS_PORT}/TCP`]))
}

describe('the headless service', () => {
  const [service] = parse('kubernetes/service.yaml')

  it('resolves to the pods themselves, before they are ready', () => {
    expect(service.kind).toBe('Service')
    expect(service.spec.clusterIP).toBe('None')
    expect(service.spec.publishNotReadyAddresses).toBe(true)
  })

  it('names gossip for UDP and TCP on the same number, and calls', () => expectPorts(service.spec.ports, 'port'))
})

describe.each(['deployment', 'statefulset'])('the %s', (kind) => {
  const [workload, budget] = parse(`kubernetes/${kind}.yaml`)
  const pod = workload.spec.template
  const [container] = pod.spec.containers
  const env = environment(container)

  it('is one, and its pods are those of the service and of the network policy', () => {
    const [service] = parse('kubernetes/service.yaml')
    const [policy] = parse('kubernetes/network-policy.yaml')
    expect(workload.kind.toLowerCase()).toBe(kind)
    expect(workload.spec.selector.matchLabels).toEqual(service.spec.selector)
    expect(pod.metadata.labels).toMatchObject(service.spec.selector)
    expect(pod.metadata.labels).toMatchObject(policy.spec.podSelector.matchLabels)
    if (kind === 'statefulset') expect(workload.spec.serviceName).toBe(service.metadata.name)
    else expect(budget.spec.selector.matchLabels).toEqual(workload.spec.selector.matchLabels)
  })

  it('gives options that createNode takes, with seeds by the name of the headless service', () => {
    const [service] = parse('kubernetes/service.yaml')
    const options = optionsOf({ ...env, SHOAL_ADVERTISE: '10.1.2.3' }, 'greeter-0')
    expect(options).toMatchObject({ cluster: 'shop', bind: `0.0.0.0:${GOSSIP_PORT}`, advertise: '10.1.2.3' })
    expect(options.rpcBind.port).toBe(CALLS_PORT)
    expect(options.seeds).toEqual([`dns://${service.metadata.name}:${GOSSIP_PORT}`])
    for (const seed of options.seeds as string[]) expect(parseSeed(seed, 1).kind).toBe('address')
    expect(env).toMatchObject({ SHOAL_ADVERTISE: 'status.podIP', NODE_NAME: 'metadata.name' })
  })

  it('opens the ports that it binds', () => {
    expectPorts(container.ports, 'containerPort')
    const health = container.ports.find(({ name }: Yaml) => name === 'health')
    expect(optionsOf(env, undefined).healthBind?.port).toBe(health.containerPort)
  })

  it('is asked at /ready and /live', () => {
    expect(container.readinessProbe.httpGet).toEqual({ path: '/ready', port: 'health' })
    expect(container.livenessProbe.httpGet).toEqual({ path: '/live', port: 'health' })
  })

  it('gives a leaving node more time than it may take', () => {
    const neededMs = Number(env['DRAIN_MS']) + LEAVE_TIMEOUT_MS + STOP_HOOK_MS
    expect(pod.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(neededMs + 5_000)
  })

  it('keeps the snapshot, if any, on a disk of the pod', () => {
    const [mount] = container.volumeMounts ?? []
    expect(env['SNAPSHOT'] === undefined).toBe(kind === 'deployment')
    if (mount === undefined) return
    expect(env['SNAPSHOT']).toMatch(new RegExp(`^${mount.mountPath}/`))
    expect(workload.spec.volumeClaimTemplates[0].metadata.name).toBe(mount.name)
  })
})

describe('the network policy', () => {
  const [policy] = parse('kubernetes/network-policy.yaml')

  it('lets gossip and calls in from the same cluster, and the probes from anywhere', () => {
    const [members, probes] = policy.spec.ingress
    expectPorts(members.ports, 'port')
    expect(members.from).toEqual([{ podSelector: policy.spec.podSelector }])
    expect(probes).toEqual({ ports: [{ port: 8080, protocol: 'TCP' }] })
  })
})

describe('the compose file', () => {
  const [compose] = parse('compose.yaml')
  const { greeter } = compose.services

  it('finds all containers by the name of the service, with options that createNode takes', () => {
    const options = optionsOf(greeter.environment, undefined)
    expect(options).toMatchObject({ cluster: 'shop', seeds: [`dns://greeter:${GOSSIP_PORT}`] })
    expect(greeter.deploy.replicas).toBeGreaterThan(1)
  })

  it('opens gossip for UDP and TCP on the same number, and calls', () => {
    expect(greeter.expose).toEqual(['7946/udp', '7946/tcp', '7947/tcp'])
    expect(greeter.ports).toBeUndefined()
  })

  it('gives a leaving node more time than it may take, and asks at /ready', () => {
    const neededMs = Number(greeter.environment.DRAIN_MS) + LEAVE_TIMEOUT_MS + STOP_HOOK_MS
    expect(Number.parseInt(greeter.stop_grace_period, 10) * 1_000).toBeGreaterThan(neededMs + 5_000)
    expect(greeter.healthcheck.test.join(' ')).toContain(':8080/ready')
  })

  it('runs the program without a shell in between, so that signals reach it', () => {
    const dockerfile = readFileSync(`${FOLDER}Dockerfile`, 'utf8')
    expect(dockerfile).toMatch(/^CMD \["node", .*"examples\/deploy\/server\.ts"\]$/m)
  })
})
