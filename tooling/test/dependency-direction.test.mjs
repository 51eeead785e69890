import { describe, expect, test } from "vitest";
import { wrongDependencies } from "../dependency-direction.mjs";

describe("manifests", () => {
  test("core may not depend on anything", () => {
    expect(wrong({ name: "@tidemark/core", dependencies: { uuid: "*" } })).toMatch(/runtime dependencies: uuid/);
    expect(wrong({ name: "@tidemark/core", devDependencies: { vitest: "*" } })).toBe("");
  });

  test("an adapter may use core and be developed with the conformance suite", () => {
    const manifest = {
      name: "@tidemark/adapter-sqlite",
      peerDependencies: { "@tidemark/core": "*", "better-sqlite3": "*" },
      devDependencies: { "@tidemark/core": "*", "@tidemark/conformance": "*" },
    };
    expect(wrong(manifest)).toBe("");
    expect(wrong({ ...manifest, dependencies: { "@tidemark/conformance": "*" } })).toMatch(
      /depend on @tidemark\/conformance/,
    );
  });

  test("an adapter may not know another one, not even to develop it", () => {
    const name = "@tidemark/adapter-sqlite";
    expect(wrong({ name, dependencies: { "@tidemark/adapter-memory": "*" } })).toMatch(/adapter-memory/);
    expect(wrong({ name, devDependencies: { "@tidemark/adapter-memory": "*" } })).toMatch(/adapter-memory/);
  });

  test("the conformance suite may not know an adapter, not even to develop it", () => {
    const name = "@tidemark/conformance";
    expect(wrong({ name, peerDependencies: { "@tidemark/core": "*", vitest: "*" } })).toBe("");
    expect(wrong({ name, devDependencies: { "@tidemark/adapter-memory": "*" } })).toMatch(/adapter-memory/);
  });

  test("a package without a rule is refused", () => {
    expect(wrong({ name: "@tidemark/surprise" })).toMatch(/has no rule/);
  });
});

describe("imports", () => {
  const adapter = { name: "@tidemark/adapter-memory" };

  test("what only development may use is not imported in src", () => {
    const text = 'import {\n  law,\n} from "@tidemark/conformance/vitest";\n';
    expect(wrong(adapter, "src/index.ts", text)).toMatch(
      /src\/index\.ts must not import @tidemark\/conformance\/vitest/,
    );
    expect(wrong(adapter, "test/laws.test.ts", text)).toBe("");
  });

  test("a relative path may not leave the package", () => {
    const text = 'export * from "../../adapter-sqlite/src/index.ts";';
    expect(wrong(adapter, "src/index.ts", text)).toMatch(/reaches out of its package/);
    expect(wrong(adapter, "test/index.test.ts", 'import { x } from "../src/index.ts";')).toBe("");
  });

  test("dynamic imports and imports for their effect count", () => {
    expect(wrong(adapter, "src/a.ts", 'const x = await import("@tidemark/adapter-sqlite");')).toMatch(
      /must not import/,
    );
    expect(wrong(adapter, "src/a.ts", 'import "@tidemark/worker";')).toMatch(/must not import/);
  });

  test("a package may import itself by name in its tests", () => {
    expect(wrong(adapter, "test/a.test.ts", 'import { x } from "@tidemark/adapter-memory";')).toBe("");
  });
});

/**
 * @param {import("../dependency-direction.mjs").Manifest} manifest
 * @param {string} [path]
 * @param {string} [text]
 */
function wrong(manifest, path = "src/index.ts", text = "") {
  return wrongDependencies(manifest, [{ path, text }]).join("\n");
}
