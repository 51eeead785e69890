import { laws } from "@tidemark/conformance";
import { expect, test } from "vitest";

test("ids are unique, and promises are sentences", () => {
  expect(new Set(laws.map((law) => law.id)).size).toBe(laws.length);
  for (const { id, promise, tooth } of laws) {
    expect(id).toMatch(/^[a-z-]+(\/[a-z0-9-]+)+$/);
    expect(promise).toMatch(/^[A-Z“"`].*[.]$/s);
    expect(tooth.lie).toMatch(/^[a-z].*[^.]$/s);
  }
});
