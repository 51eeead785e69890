import { expect, test } from "vitest";
import { unsupportedNode } from "../node-version.mjs";

test.each(["20.19.0", "20.20.2", "21.0.0", "22.1.0", "24.0.0"])("Node %s is accepted", (version) => {
  expect(unsupportedNode(version)).toBeUndefined();
});

test.each(["16.20.2", "18.20.8", "20.18.3"])("Node %s is refused with what is needed and what is there", (version) => {
  const words = unsupportedNode(version);
  expect(words).toContain("Node 20.19 or newer");
  expect(words).toContain(`Node ${version}`);
});
