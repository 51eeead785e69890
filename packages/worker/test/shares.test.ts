import { expect, test } from "vitest";
import { shareOf } from "../src/shares.ts";

const members = (count: number): string[] => Array.from({ length: count }, (_, index) => `member ${index}`);

test("the shares of all members are all segments, and differ by one at most", () => {
  for (const segments of [1, 2, 4, 16, 64]) {
    for (let count = 1; count <= 20; count++) {
      const everyone = members(count);
      const shares = everyone.map((member) => shareOf("1:orders", segments, everyone, member));
      expect(shares.reduce((sum, share) => sum + share)).toBe(segments);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
  }
});

test("the order in which members are told changes nothing", () => {
  const everyone = members(7);
  for (const member of everyone) {
    expect(shareOf("1:orders", 16, everyone.toReversed(), member)).toBe(shareOf("1:orders", 16, everyone, member));
  }
});

test("one that is not among those who are told counts itself", () => {
  expect(shareOf("1:orders", 4, ["other"], "me")).toBe(2);
});

test("consumers of one segment are spread over the members", () => {
  const everyone = members(4);
  const counts = everyone.map(
    (member) =>
      Array.from({ length: 200 }, (_, index) => shareOf(`1:consumer ${index}`, 1, everyone, member)).filter(Boolean)
        .length,
  );
  expect(Math.min(...counts)).toBeGreaterThan(25);
});
