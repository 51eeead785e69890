import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");

describe.each([
  { page: "docs/coming-from-evento.md", folder: "evento" },
  { page: "docs/coming-from-pupsourcing.md", folder: "pupsourcing" },
  { page: "docs/consumers.md", folder: "consumers" },
  { page: "docs/actors.md", folder: "actors" },
])("$page", ({ page, folder }) => {
  const sources = readdirSync(join(root, "examples/coming-from/src", folder)).map((name) =>
    readFileSync(join(root, "examples/coming-from/src", folder, name), "utf8"),
  );
  const blocks = [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map(
    ([, code]) => code ?? "",
  );

  test("shows only code that is compiled and run here", () => {
    for (const block of blocks) expect(sources).toContain(block);
  });

  test("shows all of it", () => {
    for (const source of sources) expect(blocks).toContain(source);
  });
});
