import type { Executor } from "@tidemark/core";

/** At most `perSecond` handlers begin in any second; the rest is offered again by a later cycle. */
export function limitRate(perSecond: number, now: () => number = Date.now): Executor {
  const begun: number[] = [];
  return async (task) => {
    const time = now();
    while (begun.length > 0 && (begun[0] ?? time) <= time - 1_000) begun.shift();
    if (begun.length >= perSecond) return "rejected"; // the task has not run: the cycle ends here
    begun.push(time);
    return task();
  };
}
