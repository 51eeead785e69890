import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../command.mjs";

/** The code of a README that its reader copies, and the file in which it is compiled and run. */
const examples = [
  { readme: "README.md", source: "examples/quick-start/src/main.ts" },
  { readme: "packages/core/README.md", source: "examples/quick-start/src/conflict.ts" },
  { readme: "packages/adapter-memory/README.md", source: "packages/adapter-memory/test/readme.test.ts" },
];

test.each(examples)("$readme shows the code of $source", ({ readme, source }) => {
  expect(textOf(readme)).toContain(`\`\`\`ts\n${textOf(source)}\`\`\``);
});

function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
