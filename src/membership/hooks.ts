/**
 * The user's hooks that may turn nodes away, called so that whatever they do is a verdict: anything but `true` refuses,
 * and a hook that throws or rejects refuses too. How long a promise may take is the machine's business.
 */
import type { MergeRequest, Question } from './effects.js'
import type { Member } from './member.js'

/** `true` lets in; `false`, or a reason in words, does not. */
export type HookVerdict = boolean | string

export interface AdmissionHooks {
  /**
   * Asked before a node that is unknown, gone, or has other tags or another address than before is taken into the
   * member table, from wherever it was heard. A refused identity is forgotten, not passed on, and not asked about again
   * for 30 s. May take up to 5 s; silence refuses.
   */
  readonly admitMember?: (member: Member) => HookVerdict | PromiseLike<HookVerdict>
  /**
   * Asked before a join merges two member lists, on both sides: by the node that joins before it tells anybody of
   * itself, and by the node that is asked before it answers. A refusal leaves both as they were, and the join fails with
   * its reason. May take up to 5 s; silence refuses.
   */
  readonly admitMerge?: (merge: MergeRequest) => HookVerdict | PromiseLike<HookVerdict>
}

/** Why not; undefined is a yes. */
export type Refusal = string | undefined

export interface HookRun {
  readonly hooks: AdmissionHooks
  readonly settle: (refusal: Refusal) => void
  readonly failed: (hook: keyof AdmissionHooks, cause: unknown) => void
}

/** Calls `settle` once; at once if the hook does not return a promise. */
export function runHook(question: Question, { hooks, settle, failed }: HookRun): void {
  const hook = question.kind === 'member' ? 'admitMember' : 'admitMerge'
  const fail = (cause: unknown): void => {
    failed(hook, cause)
    settle(`the hook ${hook} failed`)
  }
  try {
    const verdict =
      question.kind === 'member' ? hooks.admitMember?.(question.member) : hooks.admitMerge?.(question.merge)
    if (isThenable(verdict)) verdict.then((late) => settle(refusalOf(late, hook)), fail)
    else settle(refusalOf(verdict, hook))
  } catch (cause) {
    fail(cause)
  }
}

function refusalOf(verdict: unknown, hook: string): Refusal {
  if (verdict === true) return undefined
  if (typeof verdict === 'string') return verdict
  return verdict === false ? `${hook} said no` : `${hook} returned neither true, false nor a reason`
}

function isThenable(verdict: unknown): verdict is PromiseLike<unknown> {
  return typeof verdict === 'object' && verdict !== null && typeof (verdict as { then?: unknown }).then === 'function'
}
