/** Where in a value something is, as text for an error message: `args[0].user["full name"]`. Bounded, whatever the keys. */

const STEPS_MAX = 12
const KEY_LENGTH_MAX = 64

/** `root` and the steps below it; of very many only the first are shown. */
export function pathText(root: string, steps: readonly (string | number)[]): string {
  const text = steps.slice(0, STEPS_MAX).map((step) => {
    if (typeof step === 'number') return `[${step}]`
    const isName = step.length <= KEY_LENGTH_MAX && /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(step)
    return isName ? `.${step}` : `[${JSON.stringify(step.slice(0, KEY_LENGTH_MAX))}]`
  })
  return `${root}${text.join('')}${steps.length > STEPS_MAX ? '…' : ''}`
}
