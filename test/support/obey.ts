/** The other end of `bundled-program.ts`, in the program itself. */

/** Carries out each order by its name, and ends with its channel. */
export function obey<Order extends { readonly do: string }>(work: (order: Order) => unknown): void {
  process.on('message', async (order: Order) => {
    try {
      process.send?.({ ok: true, value: await work(order) })
    } catch (error) {
      process.send?.({ ok: false, value: String(error instanceof Error ? error.stack : error) })
    }
  })
  process.on('disconnect', () => process.exit(0))
}
