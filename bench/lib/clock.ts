/** The system's monotonic clock in ms: the same for every process of this machine, unlike `performance.now()`. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
