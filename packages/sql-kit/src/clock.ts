/** Several times as long as a millisecond takes, whatever a round trip does. */
const MOST_QUESTIONS = 100;

/**
 * A time after `last`, by a clock that said `now` and can be asked again: in the millisecond of `last` it is, until that is
 * over. One that stands still is not asked for ever, and one that was set back is not waited for: it is the next millisecond
 * then.
 */
export async function timeAfter(last: number, now: number, ask: () => Promise<number>): Promise<number> {
  let time = now;
  for (let asked = 0; time === last && asked < MOST_QUESTIONS; asked++) time = await ask();
  return Math.max(time, last + 1);
}
