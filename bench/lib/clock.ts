/** The system's monotonic clock in ms: the same for every process of this machine, unlike `performance.now()`. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Processor ms for a fixed amount of arithmetic: tells a slow or shared machine from a slow program. */
export function cpuUnitMs(): number {
  const before = process.cpuUsage()
  let value = 1
  for (let i = 0; i < 100_000_000; i++) value = (Math.imul(value, 31) + i) | 0
  const { user, system } = process.cpuUsage(before)
  return value === 0 ? 0 : (user + system) / 1_000
}
