import { createHash } from "node:crypto";

/**
 * How many of a consumer's segments a member holds: the same number for all, and one more for as many as it takes. Who
 * gets one more is drawn by the names of consumer and member, so that consumers of one segment are spread, and so that
 * little moves when a member comes or goes. All members come to the same answer by themselves.
 */
export function shareOf(consumer: string, segments: number, members: readonly string[], me: string): number {
  const everyone = members.includes(me) ? members : [...members, me];
  const least = Math.floor(segments / everyone.length);
  const more = segments % everyone.length;
  if (more === 0) return least;
  const mine = draw(consumer, me);
  const before = everyone.filter((member) => member !== me && isBefore(draw(consumer, member), member, mine, me));
  return before.length < more ? least + 1 : least;
}

function draw(consumer: string, member: string): string {
  return createHash("sha1").update(consumer).update("\0").update(member).digest("hex");
}

function isBefore(lot: string, member: string, mine: string, me: string): boolean {
  return lot === mine ? member < me : lot < mine;
}
