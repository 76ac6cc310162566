/** Who of a cluster sees it otherwise than most: views are compared by who is up in them, suspects included. */

export interface Disagreement {
  readonly node: string
  /** Up for most, not for this node; and the reverse. */
  readonly lacks: readonly string[]
  readonly adds: readonly string[]
}

/** `ignored` is left out of all views: whoever looks should not be what is looked at. */
export function disagreements(
  views: ReadonlyMap<string, ReadonlyMap<string, string>>,
  ignored: ReadonlySet<string>,
): Disagreement[] {
  const up = new Map(Array.from(views, ([node, view]) => [node, upIn(view, ignored)]))
  const votes = new Map<string, number>()
  for (const members of up.values()) for (const name of members) votes.set(name, (votes.get(name) ?? 0) + 1)
  const most = new Set([...votes].filter(([, count]) => count > views.size / 2).map(([name]) => name))
  return [...up].flatMap(([node, members]) => {
    const lacks = [...most].filter((name) => !members.has(name))
    const adds = [...members].filter((name) => !most.has(name))
    return lacks.length + adds.length === 0 ? [] : [{ node, lacks, adds }]
  })
}

function upIn(view: ReadonlyMap<string, string>, ignored: ReadonlySet<string>): Set<string> {
  const names = [...view].filter(([name, state]) => (state === 'alive' || state === 'suspect') && !ignored.has(name))
  return new Set(names.map(([name]) => name))
}
