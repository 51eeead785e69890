import { keepingLast } from "@tidemark/sql-kit";
import { expect, test } from "vitest";

test("what is computed of statements is kept for the last of them only", () => {
  const computed: string[] = [];
  const lengthOf = keepingLast(2, (text) => {
    computed.push(text);
    return text.length;
  });
  expect(["a", "bb", "a", "bb", "ccc", "bb", "a"].map(lengthOf)).toEqual([1, 2, 1, 2, 3, 2, 1]);
  expect(computed).toEqual(["a", "bb", "ccc", "a"]);
});
